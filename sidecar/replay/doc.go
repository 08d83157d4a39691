// Package replay reads captures as a tap would: packets become flows, counted
// as Zeek counts them, or Suricata, and flows become the messages that the sidecar takes
// over its socket. It is the load generator, the engine of those who have no
// IDS at hand, and what training data is extracted with, so that training and
// serving see the same flows.
//
// The package has three layers, each of use without the next:
//
//	src, err := replay.Open("office.pcap.zst")     // packets
//	flows := replay.NewFlows(src, replay.Options{}) // packets of flows, and their ends
//	var ev replay.Event
//	for {
//		if err := flows.Next(&ev); err != nil {
//			break // io.EOF: the capture is over and every flow has ended
//		}
//		// ev.Frame and ev.Headers are valid until the next call
//	}
//
// and, over the sidecar's socket, the third:
//
//	tap, err := replay.Dial(ctx, "/run/serveflow/serveflow.sock", replay.TapOptions{Capture: true})
//	report, err := tap.Play(ctx, flows)
//
// # Flows
//
// A flow is what Zeek calls a connection, unless Options say otherwise; the rules
// are those of Zeek 8 with its default settings, read from its source and
// documentation:
//
//   - Both directions of a 5-tuple are one flow. The originator is the sender
//     of the first packet; if that is a TCP SYN-ACK, its receiver, since the
//     SYN must have been missed. (Zeek also guesses from well-known ports when
//     a flow begins in mid-stream; that is left out, a guess that depends on
//     which scripts are loaded.)
//   - ICMP messages that have a counterpart, as echo request and reply, are
//     one flow between two hosts, whatever their identifier; others are a flow
//     a direction and code. Other IP protocols are flows without ports.
//   - A flow without packets ends after 5 minutes (TCP), 1 minute (anything
//     else). A SYN that nobody answers ends 5 s after it was sent. UDP of DNS's
//     ports is looked at every 10 s and ends if the last packet is 9 s old. The
//     clock never steps back: a flow whose packet is older by its whole time ends
//     with the next packet.
//   - A TCP flow is closed by a FIN from both ends, by a FIN when the other
//     end has not been heard, or by a RST. It ends 5 s later, whatever is heard
//     then: until it does, late packets, as the last ACK and retransmissions,
//     belong to it. (Zeek also ends a flow 3 s after a FIN that is the first
//     packet of an end of a flow in mid-stream, but only where a script handles
//     connection_partial_close, which none does by default.) Where one end sent
//     a FIN and then a RST, and the other end neither, Zeek looks every 6 s from
//     the FIN on whether the flow has been quiet for more than 5 s.
//   - A SYN that is not a retransmission of the flow's own first packet, or
//     that comes when an end has closed, begins a new flow: the old one ends.
//
// With the rules of Suricata and the times of its suricata.yaml:
//
//   - Flows of two VLANs are two, and so are those in a tunnel and outside; ESP is
//     a flow for each SPI. Of other protocols than TCP, UDP, ICMP, SCTP, ESP, 6in4
//     and, to 8, IP in IP there is no flow.
//   - Suricata 7 compares times in whole seconds: a flow is over when the second is
//     later than that of its last packet by more than its time. 8 compares them
//     exactly: a flow is over when its time has passed. Both go by the flow's own
//     packets where the clock steps back.
//   - A TCP flow ends after 60 s without packets before its handshake is over
//     and after it was closed, else after 10 minutes; others after 30 s while
//     one end alone was heard, else after 5 minutes.
//   - A SYN begins a new flow only if the old one was closed by a FIN from both
//     ends or by a RST, or if its handshake was missed. Otherwise, and if it has
//     the number of the flow's own SYN, it belongs to the flow.
//     While it waits for the answer to a SYN, a RST counts only with the number 0
//     and from the responder.
//   - Packets that were not captured whole, or whose IP header has no length, are of
//     no flow.
//   - A tunnel of 6in4, to 8 also of any other IP in IP, is a flow, beside the flows
//     inside. 7 does not open IPv4 in IPv4.
//
// Flows are numbered 1, 2, 3… in order of their first packet. The same capture
// always gives the same events.
//
// # Tunnels and fragments
//
// GRE (with IP, Ethernet, MPLS, ERSPAN I to III, PPP of PPTP), IP in IP and 6in4
// are opened, and over UDP VXLAN (port 4789), Geneve (6081) and Teredo (3544), with
// the rules of Zeek also GTP-U (2152) and GRE (4754): two levels deep. The inner
// flow is the one that counts; a tunnel over UDP is a flow, too, others are none of
// their own (but see above). A packet whose inside cannot be read as IP belongs to
// the flow of its outer headers. What stands between the link layer and IP is read
// by package packet. Not opened are AYIYA, Aruba's 802.11 in GRE, and L2TP.
//
// The first fragment of an IP packet counts as a packet of its flow. The later
// ones have no ports and are skipped and counted; nothing is reassembled.
package replay
