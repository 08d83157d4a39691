# @TEST-DOC: What scripts can do: the hook, the event, the policy hook, and the notice.
#
# @TEST-EXEC: sidecar.py socket events -- zeek -C -r $CAPTURES/dns.pcap %INPUT > out
# @TEST-EXEC: btest-diff out
# @TEST-EXEC: zeek-cut note msg sub < notice.log > notices; btest-diff notices
# @TEST-EXEC: zeek-cut label < serveflow.log | sort | uniq -c > rows; btest-diff rows

@load serveflow
@load serveflow/notice

redef ServeFlow::socket = "socket";
redef ServeFlow::notice_labels += { "tcp" };
redef ServeFlow::notice_min_score = 0.8;

global hooked = 0;
global logged = 0;

hook ServeFlow::labelled(c: connection, info: ServeFlow::Info)
	{
	if ( c$uid == info$uid && c?$serveflow && c$serveflow$label == info$label )
		++hooked;
	}

event ServeFlow::log_serveflow(rec: ServeFlow::Info)
	{
	++logged;
	}

# Rows of TCP alone.
hook ServeFlow::log_policy(rec: ServeFlow::Info, id: Log::ID, filter: Log::Filter)
	{
	if ( rec$label != "tcp" )
		break;
	}

event zeek_done()
	{
	local n = ServeFlow::counters();
	print fmt("labels %d, hooked %d, logged %d, late %d, lost %d", n$labels, hooked, logged, n$late, n$lost);
	}
