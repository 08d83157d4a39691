package enrich

import (
	"slices"

	"serveflow/sidecar/output/communityid"
	"serveflow/sidecar/output/decision"
	"serveflow/sidecar/output/jsonl"
	"serveflow/sidecar/output/zeeklog"
)

// row is the fields of a record that identify its flow. It points into the record.
type row struct {
	id        []byte // as a JSON value: a number, or a text in quotes
	start     int64  // microseconds since the epoch
	timed     bool   // start is known
	community []byte
	labelled  bool // has a label already
	whole     bool // of Suricata, and gets the whole object
	emptied   bool // has members of ours that are not set: null, or without a label

	src, dst, proto []byte
	sport, dport    []byte // ICMP: type and code
	computed        [32]byte
}

// isFlow reports whether the record identifies a flow.
func (r *row) isFlow() bool {
	return len(r.id) > 0 || len(r.community) > 0 || len(r.src) > 0 && len(r.dst) > 0
}

// computeCommunityID returns the Community ID of the row's endpoints; empty if they
// are not known.
func (r *row) computeCommunityID() []byte {
	t, ok := zeeklog.Tuple(r.src, r.sport, r.dst, r.dport, r.proto)
	if !ok {
		return nil
	}
	return communityid.Append(r.computed[:0], t)
}

// readJSON reads a record of Zeek or Suricata, and reports whether it is
// Suricata's.
func (r *row) readJSON(line []byte) (eve bool) {
	for key, value := range jsonl.Members(line) {
		if jsonl.IsNull(value) { // not set, as a key that is missing
			eve = eve || string(key) == "flow_id" || string(key) == "event_type"
			r.emptied = r.emptied || isOurs(key)
			continue
		}
		switch string(key) {
		// Zeek
		case "uid":
			r.id = value
		case "ts":
			r.setTime(value)
		case "id.orig_h", "id_orig_h": // as what cannot have dots in keys is sent
			r.src = jsonl.Unquote(value)
		case "id.resp_h", "id_resp_h":
			r.dst = jsonl.Unquote(value)
		case "id.orig_p", "id_orig_p":
			r.sport = value
		case "id.resp_p", "id_resp_p":
			r.dport = value
		case "ml_label":
			r.labelled = true

		// Suricata
		case "event_type":
			eve = true
			r.whole = decision.WholeEVE(string(jsonl.Unquote(value)))
		case "flow_id":
			eve = true
			r.id = value
		case "timestamp":
			if !r.timed {
				r.setTime(value)
			}
		case "flow":
			if jsonl.FirstByte(value) == '{' {
				for key, value := range jsonl.Members(value) {
					if string(key) == "start" {
						r.setTime(value)
					}
				}
			}
		case "src_ip":
			r.src = jsonl.Unquote(value)
		case "dest_ip":
			r.dst = jsonl.Unquote(value)
		case "src_port", "icmp_type":
			r.sport = value
		case "dest_port", "icmp_code":
			r.dport = value
		case "serveflow":
			r.labelled = true

		// Both
		case "proto":
			r.proto = jsonl.Unquote(value)
		case "community_id":
			r.community = jsonl.Unquote(value)
		default:
			r.emptied = r.emptied || isOurs(key)
		}
	}
	return eve
}

// isOurs reports whether a member is one that enriching adds.
func isOurs(key []byte) bool {
	return string(key) == "serveflow" || slices.Contains(mlFields[:], string(key))
}

// setTime reads a time in the format of either IDS; an unreadable one is left out.
func (r *row) setTime(value []byte) {
	if us, ok := jsonl.Micros(value); ok {
		r.start, r.timed = us, true
	}
}
