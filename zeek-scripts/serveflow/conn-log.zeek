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
	};
}

type Held: record {
	row: Conn::Info;
	token: opaque of LogDelayToken;
};

# Connections whose row is about to be written without the label that is to come,
# and the rows that are held for one.
global owed: set[string];
global held: table[string] of Held;

# The handler that holds rows runs for every row of every log, and is rarely needed.
const holding = "ServeFlow::holding";

# Before conn.log's row is written, at priority -5. The plugin switches this off
# while no label is owed.
event connection_state_remove(c: connection) &priority=3 &group="ServeFlow::asking"
	{
	if ( ServeFlow::__settle(c$uid) && conn_log && hold > 0sec )
		{
		add owed[c$uid];
		enable_event_group(holding);
		}
	}

# The time is up, or there are too many: the row goes without.
function expired(rec: any, id: Log::ID): bool
	{
	local row = rec as Conn::Info;
	if ( row$uid in held )
		{
		delete held[row$uid];
		ServeFlow::__expired(row$uid);
		}
	return T;
	}

hook Log::log_stream_policy(rec: any, id: Log::ID) &group="ServeFlow::holding"
	{
	if ( id != Conn::LOG )
		return;

	local row = rec as Conn::Info;
	if ( row$uid !in owed )
		return;

	delete owed[row$uid];
	if ( |owed| == 0 )
		disable_event_group(holding);

	held[row$uid] = Held($row=row, $token=Log::delay(id, rec, expired));
	}

event ServeFlow::__held(uid: string)
	{
	if ( uid !in held )
		return;

	local h = held[uid];
	delete held[uid];
	Log::delay_finish(Conn::LOG, h$row, h$token);
	}

event zeek_init() &priority=-5
	{
	disable_event_group(holding);
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
