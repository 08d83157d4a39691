##! Starts the tap, and defines serveflow.log and the hook for labels.

@load base/frameworks/cluster
@load base/protocols/conn
@load ./config

module ServeFlow;

export {
	redef enum Log::ID += { LOG };

	global log_policy: Log::PolicyHook;

	## Raised for each row of serveflow.log.
	global log_serveflow: event(rec: Info);

	## Called for each label. Sites act on it here: a notice, NetControl, a log.
	global labelled: hook(c: connection, info: Info);
}

redef record connection += {
	## The label of the connection, once it has arrived.
	serveflow: Info &optional;
};

# Workers see connections, and so does a Zeek without a cluster.
function sees_traffic(): bool
	{
	return ! Cluster::is_enabled() || Cluster::local_node_type() == Cluster::WORKER;
	}

event zeek_init() &priority=5
	{
	Log::create_stream(LOG, Log::Stream($columns=Info, $ev=log_serveflow, $path="serveflow", $policy=log_policy));

	if ( ! sees_traffic() )
		return;

	local name = sensor != "" ? sensor : (Cluster::node != "" ? Cluster::node : "zeek");
	ServeFlow::__start(name, wait && reading_traces());
	}

# The label may have arrived before the service was known. Here both are final: labels
# are waited for at priority 3, and the row of conn.log is written at -5.
event connection_state_remove(c: connection) &priority=2
	{
	if ( c?$serveflow && c$serveflow?$services )
		ServeFlow::__compare(c);
	}
