# @TEST-DOC: A row of conn.log is held, live, for the label that comes after the connection's end, is written when that does not come, and is not written when a script does not want it.
#
# @TEST-EXEC: timeout 60 sidecar.py socket events --patient -- zeek --pseudo-realtime -C -r $CAPTURES/ssh.pcap %INPUT > out
# @TEST-EXEC: grep -x "held 1, late 0, lost 0" out
# @TEST-EXEC: test "$(zeek-cut ml_label ml_reason < conn.log | uniq -c | tr -s ' \t' ' ')" = " 2 tcp flow_end"
# @TEST-EXEC: timeout 60 sidecar.py socket events --silent -- zeek --pseudo-realtime -C -r $CAPTURES/ssh.pcap %INPUT ServeFlow::hold=50msec > out
# @TEST-EXEC: grep "held 1, late 0" out
# @TEST-EXEC: test "$(zeek-cut ml_label < conn.log | sort | uniq -c | tr -s ' ' ' ')" = " 2 -"
# @TEST-EXEC: rm conn.log && timeout 60 sidecar.py socket events --patient -- zeek --pseudo-realtime -C -r $CAPTURES/ssh.pcap %INPUT unwanted=T > out
# @TEST-EXEC: grep "held 0" out && test ! -e conn.log && test "$(zeek-cut label < serveflow.log | uniq -c | tr -s ' ' ' ')" = " 2 tcp"
# @TEST-EXEC: ! grep ERROR reporter.log

@load serveflow

redef ServeFlow::socket = "socket";
redef ServeFlow::wait = F;
redef tcp_close_delay = 20msec; # so that the first connection is over while the second goes on

option unwanted = F;

global held = 0;

hook Log::log_stream_policy(rec: any, id: Log::ID)
	{
	if ( id == Conn::LOG && unwanted )
		break;
	}

# After the row was written, or held.
event connection_state_remove(c: connection) &priority=-10
	{
	if ( Log::get_delay_queue_size(Conn::LOG) > 0 )
		++held;
	}

event zeek_done()
	{
	local n = ServeFlow::counters();
	print fmt("held %d, late %d, lost %d", held, n$late, n$lost);
	}
