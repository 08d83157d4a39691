# @TEST-DOC: With one seed, every run writes the same.
#
# @TEST-EXEC: for run in 1 2 3; do mkdir $run && (cd $run && for c in http dns icmp vxlan hard-reused hard-timeouts; do sidecar.py socket $c.events -- zeek -C -r $CAPTURES/$c.pcap %INPUT && for l in conn serveflow; do canonify < $l.log > $c.$l; done; done); done
# @TEST-EXEC: for f in 1/*.conn 1/*.serveflow 1/*.events; do cmp $f 2/${f#1/} && cmp $f 3/${f#1/} || exit 1; done

@load serveflow

redef ServeFlow::socket = "socket";
