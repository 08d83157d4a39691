// Package enrich joins the decisions of a label log into logs that were
// written without them: Zeek's conn.log (or any Zeek log with a uid), as TSV
// or JSON, and Suricata's EVE JSON. It is behind the command serveflow enrich.
//
//	labels, err := enrich.Load(labelsFile)
//	…
//	stats, err := labels.Enrich(connLog, os.Stdout)
//
// A row gets the decision whose flow has its id: uid in Zeek's logs, flow_id
// in EVE. If no decision has it, the Community ID and the flow's start within
// Tolerance name the flow; a row without a community_id has it computed from
// its addresses, ports and protocol. Where several decisions fit (ids that are
// used again, several sensors in one label log), the one that started nearest
// to the row is taken.
//
// What is added:
//   - Zeek TSV: the columns ml_label, ml_score, ml_stage, ml_pkts, ml_latency,
//     ml_model and ml_reason, in #fields, #types and every row, unset where
//     there is no decision.
//   - Zeek JSON: the same names as keys, left out where there is no value.
//   - EVE: an object "serveflow" before the record's last brace.
//
// What the package promises:
//   - Every byte that it does not add is passed on as it was, in order. A line
//     that it cannot read is passed on unchanged and counted, and so is a row
//     that carries a label already.
//   - It reads any amount of input in a memory that is bounded by the longest
//     line, up to 16 MiB, and by the number of decisions, about 100 bytes each.
//   - Input compressed with gzip or zstd is recognised by its first bytes.
package enrich
