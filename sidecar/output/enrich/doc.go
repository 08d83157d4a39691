// Package enrich joins the decisions of a label log into logs that were written
// without them: Zeek's conn.log (or any Zeek log with a uid), as TSV or JSON, and
// Suricata's EVE JSON. The command serveflow enrich uses it.
//
//	labels, err := enrich.Load(labelsFile)
//	…
//	stats, err := labels.Enrich(connLog, os.Stdout)
//
// A row gets the decision with its flow id: uid in Zeek's logs, flow_id in EVE.
// Without one, the row is joined by Community ID if the flow's start is within
// Tolerance; a row without a community_id has it computed from its addresses, ports
// and protocol. If several decisions match (reused ids, several sensors in one
// label log), the one with the nearest start is taken.
//
// What is added:
//   - Zeek TSV: the columns ml_label, ml_score, ml_stage, ml_pkts, ml_latency,
//     ml_model and ml_reason, in #fields, #types and every row, unset if there is
//     no decision.
//   - Zeek JSON: the same names as keys, left out if there is no value.
//   - EVE: an object "serveflow" before the record's last brace.
//
// What the package promises:
//   - Every other byte is copied unchanged, in order. A line that it cannot read is
//     copied and counted, and so is a row that has a label already.
//   - It reads any amount of input in a memory that is bounded by the longest line,
//     up to 16 MiB, and by the number of decisions, about 100 bytes each.
//   - Input compressed with gzip or zstd is recognised by its first bytes.
package enrich
