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
//	icmp_type  type of ICMP or ICMPv6, 0 to 255
//
// Shapes of payload (shape), of the first packets that carry any among those that
// are there, at most six. s2_size is of the second of them:
//
//	s2_at         which packet of the flow it is, 1 to 255
//	s2_dir        as p3_dir
//	s2_size       bytes of payload, 1 to 65535
//	s2_gap        log2(1+µs) since the packet with payload before, in
//	              s1 since the flow's first
//
// and of the first 64 bytes of its payload, where the tap sends them (Wu et al.,
// "How the Great Firewall of China Detects and Blocks Fully Encrypted Traffic",
// USENIX Security 2023):
//
//	s2_byte1      the first byte, 0 to 255; to s2_byte8
//	s2_head       the first three as one number, big endian, 0 to 2^24-1: a tree
//	              finds a protocol's first bytes with two thresholds
//	s2_same       with how many bytes, 0 to 8, it begins as the last payload in its
//	              direction does; s2_echo: as the last in the other direction
//	s2_step       by how much the 16-bit field at its third byte exceeds that of the
//	              last payload in its direction, modulo 2^16 (RFC 3550, section 5.1)
//	s2_ones       set bits a byte, 0 to 8
//	s2_printable  share of printable ASCII, 0 to 1; s2_zeros and s2_distinct
//	              likewise of zero bytes and of different values
//	s2_run        longest run of printable ASCII in bytes, 0 to 64; s2_leading
//	              that at the beginning
//	s2_entropy    of the bytes, in bits, 0 to 6
//	s2_rest       offset from 1 of the first 16-bit field that is the length of
//	              what follows it, 0 to 7; 0: none. s2_total: of the whole
//	s2_tls_version, s2_tls_session   of a ClientHello or ServerHello: lower byte of
//	              the version it names, 0 to 255, and length of its session's id, 0 to 32
//	s2_tls_suites, s2_tls_extensions   how many of each it has, 0 to 255, and
//	s2_tls_name, s2_tls_protocol   length of the server's name (RFC 6066) and of the
//	              first application protocol (RFC 7301), 0: none, to 254; as far as
//	              the first 512 bytes show
//	s2_ber_tag, s2_ber_inner   of a message in ASN.1's basic encoding (ITU-T X.690): its
//	              tag, and that of its first element that is no integer; 0: none
//	s2_dns_reply  1 in a DNS response, 0 in a query (RFC 1035; also mDNS, LLMNR)
//	s2_dns_answers, s2_dns_type   answers, 0 to 255; type of the question, 1 to 65535
//	s2_dns_name, s2_dns_longest   bytes of the question's name and of its longest
//	              label, as far as the 64 bytes show; s2_dns_labels: how many
//	s2_dns_digits, s2_dns_upper, s2_dns_odd, s2_dns_distinct   shares of the name's
//	              characters, 0 to 1: digits, capitals, no letter, digit,
//	              hyphen or underscore; different ones
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
//     p3_payload, p3_gap, first3_*, s2_*, proto, resp_port and icmp_type
//     ([Plan.NeedsHeaders]).
//   - What payload bytes would tell, where the tap sends none
//     ([Plan.PayloadBytes]).
//   - What masks hide ([Mask]): those bits tell the capture, not the class.
package feature
