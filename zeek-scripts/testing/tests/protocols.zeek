# @TEST-DOC: UDP, ICMP, IGMP, IPv6, tunnels and flipped connections: the flow's own IP header, and the direction of its first packet.
#
# @TEST-EXEC: for c in dns icmp vlan failing hard-tunnels hard-midstream hard-fragments hard-snaplen hard-short hard-empty; do sidecar.py socket $c.events -- zeek -C -r $CAPTURES/$c.pcap %INPUT && zeek-cut -m id.orig_h id.orig_p id.resp_h id.resp_p proto orig_pkts resp_pkts history ml_label ml_pkts ml_reason < conn.log > $c.labels; done
# @TEST-EXEC: cat *.labels > labels; btest-diff labels
# @TEST-EXEC: for c in hard-tunnels hard-midstream; do sort -s -k 2,2 $c.events; done > events; btest-diff events
# @TEST-EXEC: test $(cat *.labels | grep -c -w -e tcp -e udp) -gt 30

# Messages are in the order of their flows: of a tunnel and what is in it, Zeek 8.0
# tells the inner packet first, 8.1 the outer.

@load serveflow

redef ServeFlow::socket = "socket";
