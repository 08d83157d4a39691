# @TEST-DOC: Either log can be left as it is, and captures need not wait.
#
# @TEST-EXEC: sidecar.py socket events -- zeek -C -r $CAPTURES/dns.pcap %INPUT ServeFlow::conn_log=F
# @TEST-EXEC: test "$(zeek-cut ml_label < conn.log | sort -u)" = - && test -s serveflow.log && rm serveflow.log
# @TEST-EXEC: sidecar.py socket events -- zeek -C -r $CAPTURES/dns.pcap %INPUT ServeFlow::log=F
# @TEST-EXEC: test "$(zeek-cut ml_label < conn.log | sort -u | tr '\n' ' ')" = "tcp udp " && test ! -e serveflow.log
# @TEST-EXEC: sidecar.py socket events -- zeek -C -r $CAPTURES/dns.pcap %INPUT ServeFlow::wait=F
# @TEST-EXEC: grep -q "'mode': 'live'" events
# @TEST-EXEC: sidecar.py socket events -- zeek -C -r $CAPTURES/dns.pcap %INPUT ServeFlow::sensor=dmz-1
# @TEST-EXEC: grep -q "'sensor': 'dmz-1'.*'mode': 'capture'" events

@load serveflow

redef ServeFlow::socket = "socket";
