# @TEST-DOC: Without a sidecar conn.log is as it is without the package, but for empty columns.
#
# @TEST-EXEC: zeek -C -r $CAPTURES/tls.pcap %INPUT
# @TEST-EXEC: zeek-cut uid id.orig_p orig_pkts resp_pkts < conn.log > with
# @TEST-EXEC: zeek-cut ml_label ml_score ml_reason < conn.log | sort -u > columns; btest-diff columns
# @TEST-EXEC: zeek -C -r $CAPTURES/tls.pcap
# @TEST-EXEC: zeek-cut uid id.orig_p orig_pkts resp_pkts < conn.log > without
# @TEST-EXEC: diff with without
# @TEST-EXEC: test ! -e serveflow.log
# @TEST-EXEC: btest-diff .stdout

@load serveflow

redef ServeFlow::socket = "nobody";

event zeek_done()
	{
	local n = ServeFlow::counters();
	print n$sent, n$dropped > 0, n$labels, n$connects;
	}
