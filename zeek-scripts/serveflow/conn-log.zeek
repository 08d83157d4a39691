##! The label in conn.log. The plugin puts it there when it comes. The row of a
##! connection that owes its label when it is over is held for a while, live, or
##! written when it came, in captures and at the end.

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
		## How many packets the decision rests on.
		ml_pkts: count &log &optional;
		## Time from the connection's first packet to the decision.
		ml_latency: interval &log &optional;
		## The bundle, as name@version.
		ml_model: string &log &optional;
		## What triggered the decision.
		ml_reason: string &log &optional;
		## Whether the service goes together with the label.
		ml_agrees: bool &log &optional;
	};
}

# Before conn.log's row is written, at priority -5. The plugin switches this off
# while no label is owed.
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

# Rows that are held now are written before the last connections are over.
event net_done(t: time)
	{
	ServeFlow::__drain();
	}
