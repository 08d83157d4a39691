##! What can be set. Options can change while Zeek runs; those about the
##! connection to the sidecar hold from the next connection on.

module ServeFlow;

export {
	## The sidecar's socket.
	option socket: string = "/run/serveflow/serveflow.sock";

	## The name of this sensor, within which flow ids are unique. "" is the
	## name of the cluster node, or "zeek" without a cluster.
	option sensor: string = "";

	## Whether conn.log has the columns ml_label and so on filled in.
	option conn_log: bool = T;

	## Whether serveflow.log is written: a row a flow, when its label comes.
	option log: bool = T;

	## How long conn.log's row of a live flow is held for a label that is
	## still to come. 0 sec: not at all. It can be lowered while Zeek runs, but
	## raised beyond its first value only by a restart.
	option hold: interval = 1 sec;

	## How many rows are held at most; beyond it, the oldest is written.
	option max_held: count = 10000;

	## Whether zeek -r waits for labels, so that every run is the same.
	option wait: bool = T;

	## How long such a wait takes at most, once: a sidecar that was waited for in
	## vain is given up for the rest of the run.
	option patience: interval = 30 sec;

	## Bytes that may wait for a sidecar that is slow or away. What goes beyond is
	## dropped and counted.
	option buffer_bytes: count = 1048576;

	## A batch is written when it has so many bytes, or when its oldest message
	## has waited for so long.
	option batch_bytes: count = 32768;
	option batch_interval: interval = 10 msec;
}
