# @TEST-DOC: Whether the service and the label go together, in both logs, and in the row of a connection whose label comes after its end.
#
# @TEST-EXEC: for c in dns http ssh tls failing; do sidecar.py socket events -- zeek -C -r $CAPTURES/$c.pcap %INPUT && zeek-cut proto service ml_label ml_agrees < conn.log | sort | uniq -c > $c.rows && zeek-cut label agrees < serveflow.log | sort | uniq -c > $c.labels; done
# @TEST-EXEC: head -n 100 *.rows > rows; btest-diff rows
# @TEST-EXEC: head -n 100 *.labels > labels; btest-diff labels
# @TEST-EXEC: timeout 60 sidecar.py socket events --patient -- zeek --pseudo-realtime -C -r $CAPTURES/ssh.pcap %INPUT ServeFlow::wait=F
# @TEST-EXEC: test "$(zeek-cut service ml_label ml_reason ml_agrees < conn.log | uniq -c | tr -s ' \t' ' ')" = " 2 ssh tcp flow_end T"
# @TEST-EXEC: test "$(zeek-cut label reason agrees < serveflow.log | uniq -c | tr -s ' \t' ' ')" = " 2 tcp flow_end T"
# @TEST-EXEC: sidecar.py socket events -- zeek -C -r $CAPTURES/ssh.pcap %INPUT failed=T > out
# @TEST-EXEC: test "$(zeek-cut service ml_label ml_agrees < conn.log | uniq -c | tr -s ' \t' ' ')" = " 2 -ssh tcp -"

@load serveflow

redef ServeFlow::socket = "socket";
redef tcp_close_delay = 20msec; # so that the first connection of ssh.pcap is over while the second goes on

option failed = F;

# As DPD::track_removed_services_in_connection has it, of a service that was taken for one.
event connection_state_remove(c: connection) &priority=6
	{
	if ( failed )
		c$service = set("-SSH");
	}
