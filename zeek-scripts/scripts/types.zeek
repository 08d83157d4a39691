##! Types that the plugin and the scripts share.

module ServeFlow;

export {
	## What the sidecar says of a flow. There is one decision a flow, and it is
	## final.
	type Decision: record {
		## The class, or "unknown" where no model was sure enough.
		label: string;
		## The model's probability for the label, 0 to 1; 0 if no model decided.
		score: double;
		## The stage that decided, "" if none did.
		stage: string;
		## How many packets the decision rests on.
		pkts: count;
		## Time from the flow's first packet to the decision.
		latency: interval;
		## The bundle, as name@version.
		model: string;
		## What triggered the decision: accepted, last_stage, flow_end, timeout,
		## shed, partial, evicted or unserved.
		reason: string;
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
