##! Labels of the ServeFlow sidecar in conn.log, in a log of their own, and for
##! scripts to act on.

@load ./config
@load ./main
@load ./conn-log
