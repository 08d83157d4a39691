##! Types that the plugin and the scripts share.

module ServeFlow;

export {
	## The one, final decision on a flow, and its row of serveflow.log. The row is
	## written when the label arrives: for a connection that lasts for days, days before
	## its row of conn.log.
	type Info: record {
		## Start of the connection.
		ts: time &log;
		uid: string &log;
		id: conn_id &log;
		## The class, or "unknown" where no model was sure enough.
		label: string &log;
		## The model's probability for the label, 0 to 1; 0 if no model decided.
		score: double &log;
		## The stage that decided, if one did.
		stage: string &log &optional;
		## The number of packets that the decision used.
		pkts: count &log;
		## Time from the flow's first packet to the decision.
		latency: interval &log;
		## The bundle, as name@version.
		model: string &log;
		## What triggered the decision: accepted, last_stage, flow_end, timeout,
		## relaxed, shed, partial, unparsed, evicted, silent,
		## unanswered, suppressed or unserved.
		reason: string &log;
		## Whether the protocol that Zeek detected (service in conn.log) fits the label;
		## unset where Zeek detected none or the bundle has no list. The row of
		## serveflow.log has the value of when the label arrived; the record is updated
		## once, at the end of the connection.
		agrees: bool &log &optional;
		## The services that fit the label, separated by commas, if the bundle lists
		## them.
		services: string &optional;
	};

	## Counters of the plugin since its start.
	type Counters: record {
		## Messages sent to the sidecar.
		sent: count;
		## Messages dropped before they reached the sidecar.
		dropped: count;
		## Labels received.
		labels: count;
		## Labels received after their row of conn.log was written.
		late: count;
		## Labels owed by the sidecar that were not received.
		lost: count;
		## Connections that the sidecar welcomed.
		connects: count;
	};
}
