##! Types that the plugin and the scripts share.

module ServeFlow;

export {
	## What the sidecar says of a flow. There is one decision a flow, and it is
	## final. It is a row of serveflow.log, written when it comes: of a connection
	## that goes on for days, days before its row in conn.log.
	type Info: record {
		## When the connection began.
		ts: time &log;
		uid: string &log;
		id: conn_id &log;
		## The class, or "unknown" where no model was sure enough.
		label: string &log;
		## The model's probability for the label, 0 to 1; 0 if no model decided.
		score: double &log;
		## The stage that decided, if one did.
		stage: string &log &optional;
		## How many packets the decision rests on.
		pkts: count &log;
		## Time from the flow's first packet to the decision.
		latency: interval &log;
		## The bundle, as name@version.
		model: string &log;
		## What triggered the decision: accepted, last_stage, flow_end, timeout,
		## relaxed, shed, partial, unparsed, evicted, silent or
		## unserved.
		reason: string &log;
		## Whether what Zeek calls the protocol (service in conn.log) goes together
		## with the label; unset where either is not known. The row of serveflow.log
		## says what was known when the label came. Later it is brought up to date
		## once, when the connection is over.
		agrees: bool &log &optional;
		## The names that go together with the label, separated by commas, if the
		## bundle has a list.
		services: string &optional;
	};

	## What the plugin counts, since it was started.
	type Counters: record {
		## Messages sent to the sidecar.
		sent: count;
		## Messages that it could not be given.
		dropped: count;
		## Labels that came.
		labels: count;
		## Labels that came when conn.log's row was written.
		late: count;
		## Labels that were to come and did not.
		lost: count;
		## Connections to a sidecar that answered.
		connects: count;
	};
}
