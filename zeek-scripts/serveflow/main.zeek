##! Starts the tap, takes the labels, and writes serveflow.log.

@load base/frameworks/cluster
@load base/protocols/conn
@load ./config

module ServeFlow;

export {
	redef enum Log::ID += { LOG };

	global log_policy: Log::PolicyHook;

	## Raised for each row of serveflow.log.
	global log_serveflow: event(rec: Info);

	## For sites to act on a label: a notice, NetControl, an own log.
	global labelled: hook(c: connection, info: Info);
}

redef record connection += {
	## What the sidecar says of the connection, once it did.
	serveflow: Info &optional;
};

# Connections are seen by workers, and by a Zeek without a cluster.
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

# The label may have come before the service was known. Here both are known for good:
# conn.log's row is written at priority -5, and a label is waited for at 3.
event connection_state_remove(c: connection) &priority=2
	{
	if ( c?$serveflow && c$serveflow?$services )
		ServeFlow::__compare(c);
	}
