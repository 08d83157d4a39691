##! The label in conn.log. The plugin fills in the columns when the label arrives. If a
##! connection is over before its label has arrived, a live Zeek holds the row for at most
##! ServeFlow::hold; in captures, and when Zeek terminates, it waits for the label.

@load ./main

module ServeFlow;

export {
	redef record Conn::Info += {
		## The class, or "unknown" where no model was sure enough.
		ml_label: string &log &optional;
		## The model's probability for the label.
		ml_score: double &log &optional;
		## The stage that decided.
		ml_stage: string &log &optional;
		## The number of packets that the decision used.
		ml_pkts: count &log &optional;
		## Time from the connection's first packet to the decision.
		ml_latency: interval &log &optional;
		## The bundle, as name@version.
		ml_model: string &log &optional;
		## What triggered the decision.
		ml_reason: string &log &optional;
		## Whether the service fits the label.
		ml_agrees: bool &log &optional;
	};
}

# The row of conn.log is written at priority -5. The plugin disables this handler while
# no label is owed.
event connection_state_remove(c: connection) &priority=3 &group="ServeFlow::asking"
	{
	ServeFlow::__settle(c$uid);
	}

event zeek_init() &priority=-5
	{
	if ( ! sees_traffic() || ! conn_log )
		return;

	Log::set_max_delay_interval(Conn::LOG, hold);
	Log::set_max_delay_queue_size(Conn::LOG, max_held);
	}

# Held rows are written before the last connections end.
event net_done(t: time)
	{
	ServeFlow::__drain();
	}
