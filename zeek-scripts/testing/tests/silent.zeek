# @TEST-DOC: A sidecar that does not answer, or does not read, costs a capture its patience once, and no row.
#
# @TEST-EXEC: timeout 60 sidecar.py socket events --silent -- zeek -C -r $CAPTURES/tls.pcap %INPUT
# @TEST-EXEC: zeek-cut uid ml_label < conn.log > silent; btest-diff silent
# @TEST-EXEC: timeout 60 sidecar.py socket events --deaf -- zeek -C -r $CAPTURES/tls.pcap %INPUT
# @TEST-EXEC: zeek-cut uid ml_label < conn.log > deaf; diff silent deaf

@load serveflow

redef ServeFlow::socket = "socket";
redef ServeFlow::patience = 1 sec;
