##! The settings. Options can change while Zeek runs; those of the connection to the
##! sidecar apply from the next connection on.

module ServeFlow;

export {
	## The sidecar's socket.
	option socket: string = "/run/serveflow/serveflow.sock";

	## The name of this sensor, within which flow ids are unique. "" is the
	## name of the cluster node, or "zeek" without a cluster.
	option sensor: string = "";

	## Whether the columns ml_label and so on of conn.log are filled in.
	option conn_log: bool = T;

	## Whether serveflow.log is written: one row per flow, when its label arrives.
	option log: bool = T;

	## How long the row of conn.log of a live flow is held for a label that has not
	## arrived. 0 sec: not at all. It can be lowered while Zeek runs, but raised
	## beyond its initial value only by a restart.
	option hold: interval = 1 sec;

	## The maximum number of held rows; beyond it, the oldest is written.
	option max_held: count = 10000;

	## Whether zeek -r waits for labels, so that every run is the same.
	option wait: bool = T;

	## The time limit of such a wait. If the sidecar does not answer in time, the rest
	## of the run goes on without it.
	option patience: interval = 30 sec;

	## Size of the buffer of messages for a slow or absent sidecar, in bytes. Messages
	## that do not fit are dropped and counted.
	option buffer_bytes: count = 1048576;

	## A batch of messages is written when it has this many bytes, or when its oldest
	## message is this old.
	option batch_bytes: count = 32768;
	option batch_interval: interval = 10 msec;
}
