// Package groundtruth tells the label of single flows from what a person has: Zeek's
// logs of the same traffic and a few rules, or a list of flows. It serves the
// flag --labels of serveflow extract, tune and eval.
//
//	known, err := groundtruth.Open("labels.toml")
//	answer := known.Of("office.pcap", tuple, start)
//	if answer.Label == "" { … } // answer.By says why
//
// # The file
//
// All paths are relative to the folder of the file.
//
//	logs = ["logs"]           # Zeek's logs: files, or folders with all below them
//	flows = ["checked.csv"]   # flows with their labels
//
//	[names]                   # by the server's name
//	".netflix.com" = "video"  # netflix.com and every name below it
//	"zoom.us" = "call"        # this name alone
//	"." = "web"               # any other name
//
//	[services]                # by what Zeek's conn.log calls the service
//	ssh = "ssh"
//	"imap,ssl" = "mail"       # flows that are both
//
// The most specific rule counts: a whole name before a longer ending before a
// shorter one; of services, the rule that names more of them.
//
// # Flows and logs
//
// A flow is looked for by its Community ID, which is computed of the ends on both
// sides, and by its start, within Tolerance; where one is used again, the nearest
// start is taken. So logs may cover many captures, or be those of one each, and
// may be rotated, packed, TSV or JSON. Of a folder, the logs conn, ssl, quic and
// dns are read. conn.log says when flows began; ssl.log and quic.log name the
// server by the flow's uid.
//
// What is asked, in this order, until one knows a label:
//
//   - the lines of the lists of flows;
//   - the server's name in TLS or QUIC;
//   - if that has none, the name for which the flow's originator last learned the
//     address of its responder, by a DNS answer that is no older than an hour, or
//     its TTL if that is longer (as in Bermudez et al., "DNS to the Rescue", IMC
//     2012); the question must have come from the address that the flow begins at,
//     so IPv6 addresses that were asked for over IPv4 name nothing;
//   - the service.
//
// Where one of these says two labels of a flow, it gets none, and is counted as a
// conflict: for DNS, where answers of both may have led to the flow.
//
// # Lists of flows
//
// CSV; the first line names the columns: label, and community_id (version 1, seed
// 0) or src, dst, proto and, where there are ports, sport and dport. start is
// seconds since the epoch or a time as in RFC 3339; without it, all flows between
// these ends have the label. A line whose column file names a capture is about that
// one alone; its folder and the endings .gz and .zst do not count. detail is a finer
// kind, for reports. Other columns are ignored.
//
// # What it promises
//
// Lines of logs that cannot be read, such as torn ones, are passed over and
// counted; a list of flows or a rule that is wrong is an error that names the line
// or key. It holds some 32 bytes for each connection and DNS answer of the logs.
package groundtruth
