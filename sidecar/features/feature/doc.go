// Package feature turns the first packets of a flow into rows of numbers for
// models. Training and serving use this one encoder.
//
// A feature is a named column, and the name says everything about its value: a
// model that lists its columns can be served. [Spec] lists the whole catalogue
// for training, [Compile] makes a [Plan] of any columns in any order, and
// [Plan.Encode] fills a row, touching only what the columns need:
//
//	plan, err := feature.Compile(model.Columns(), feature.MaskAll)
//	row := make([]float32, plan.Width())
//	plan.Encode(row, packets)
//
// # Columns
//
// Bits of headers, after nPrint (Holland et al., "New Directions in Automated
// Traffic Analysis", CCS 2021): p3_ipv4_ttl_0 is the highest bit of the TTL of
// packet 3. Packets count from 1. Values are 0 and 1, and -1 where the bit is
// absent or masked. Sections are ipv4 (480 bits), tcp (480), udp (64) as in
// nPrint, and ipv6 (320, without extension headers) and icmp (64, ICMP and
// ICMPv6 alike). Field names are nPrint's; package variables list them.
//
// Sequences of sizes, directions and times (seq), per packet:
//
//	p3_dir      0 from the originator, 1 from the responder
//	p3_payload  bytes of transport payload, negative from the responder,
//	            -65535 to 65535; missing is -65536
//	p3_len      bytes of the IP packet, 0 to 65535
//	p3_gap      log2(1+µs) since the packet before, 0 to 64; 0 in packet 1
//	p3_flags    TCP flags NS CWR ECE URG ACK PSH RST SYN FIN, 0 to 511
//	p3_window   TCP window as in the header, 0 to 65535
//
// over the first packets, as many as are there but at most the number in the
// name (0 when there is none):
//
//	first3_orig_pkts   packets from the originator; resp_pkts likewise
//	first3_orig_bytes  payload bytes from the originator; resp_bytes likewise;
//	                   missing as soon as one packet's payload is
//	first3_duration    log2(1+µs) from first to last, 0 to 64
//
// and of the flow, as its first packet says:
//
//	proto      IP protocol number, 1 to 255
//	resp_port  the responder's port of TCP, UDP or SCTP, 1 to 65535; missing
//	           when ephemeral and so masked
//
// Except for p3_payload, missing is -1. Sizes beyond 65535, as segmentation
// offload makes them, read 65535. All values are exact in a float32, but for
// logarithms, which are rounded to one.
//
// # What is missing
//
//   - Packets the flow does not have, and the bits of headers that a packet
//     does not have: an IPv6 packet has no ipv4 bits, UDP no tcp bits, and a
//     header without options no bits of options.
//   - Bits that were not captured, where the tap sent too few bytes.
//   - The transport header of a fragment that is not the first, its payload,
//     and with it the byte counts.
//   - In flows of a tap that sees no headers: everything but p3_dir,
//     p3_payload, p3_gap, first3_*, proto and resp_port ([Plan.NeedsHeaders]).
//   - What masks hide ([Mask]): those bits tell the capture, not the class.
package feature
