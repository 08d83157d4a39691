# @TEST-DOC: Labels in conn.log and serveflow.log, and what was sent for them.
#
# @TEST-EXEC: sidecar.py socket events -- zeek -C -r $CAPTURES/http.pcap %INPUT
# @TEST-EXEC: zeek-cut -m uid id.orig_p proto orig_pkts resp_pkts history ml_label ml_score ml_stage ml_pkts ml_latency ml_model ml_reason ml_agrees < conn.log > labels
# @TEST-EXEC: btest-diff labels
# @TEST-EXEC: btest-diff serveflow.log
# @TEST-EXEC: btest-diff events

@load serveflow

redef ServeFlow::socket = "socket";
