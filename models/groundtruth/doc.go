// Package groundtruth labels single flows, from Zeek's logs of the same traffic and a
// few rules, or from a list of flows. It serves the
// flag --labels of serveflow extract, tune and eval.
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
// The most specific rule applies: a whole name before a longer suffix before a shorter
// one; of services, the rule that names most of them.
//
// # Flows and logs
//
// A flow is looked up by its Community ID and by its start, within Tolerance; if an id
// recurs, the nearest start is taken. Logs may therefore cover one capture or many,
// and may be rotated, compressed, TSV or JSON. Of a folder, the logs conn, ssl, quic
// and dns are read: conn.log has the start of flows, ssl.log and quic.log the server's
// name by the flow's uid.
//
// Sources of a label, in this order, up to the first that has one:
//
//   - the lines of the lists of flows;
//   - the server's name in TLS or QUIC;
//   - the name in the last DNS answer with the responder's address that the flow's
//     originator received, at most an hour before, or its TTL if that is longer (as in
//     Bermudez et al., "DNS to the Rescue", IMC 2012); the query must have come from the
//     originator's address, so IPv6 addresses that were resolved over IPv4 have no name;
//   - the service.
//
// If one of these has two labels for a flow, the flow gets none and is counted as a
// conflict: with DNS, where answers for both names may have led to the flow.
//
// # Lists of flows
//
// CSV; the first line names the columns: label, and community_id (version 1, seed
// 0) or src, dst, proto and, where there are ports, sport and dport. start is
// seconds since the epoch or a time as in RFC 3339; without it, all flows between
// these ends have the label. A line whose column file names a capture applies to that
// capture only; its folder and the suffixes .gz and .zst are ignored. detail is a finer
// kind, for reports. Other columns are ignored.
//
// # Guarantees
//
// Unreadable lines of logs, such as torn ones, are skipped and counted; a mistake in a
// list of flows or in a rule is an error that names the line or key. Memory is about
// 32 bytes for each connection and DNS answer of the logs.
package groundtruth
