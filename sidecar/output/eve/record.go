package eve

import (
	"bytes"
	"strconv"

	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/output/decision"
	"serveflow/sidecar/output/jsonl"
	"serveflow/sidecar/tap/wire"
)

// record is the fields of a line that concern its flow. Its slices point into the
// line.
type record struct {
	flow       uint64
	hasFlow    bool   // of a flow at all
	ends       bool   // it is the flow's own record
	whole      bool   // it gets the whole object
	labelled   bool   // it has a label already
	nullLabel  bool   // it has the label's key with null
	app        []byte // Suricata's name for the flow's protocol, empty: none
	time       []byte
	start, end []byte // of the flow; nil: not in the record
	orig, resp uint64 // the flow's packets
}

// valid says whether a line is a whole record.
func valid(line []byte) bool { return jsonl.FirstByte(line) == '{' && jsonl.Valid(line) }

// recordPrefix is what every record of Suricata begins with.
var recordPrefix = []byte(`{"timestamp":`)

// nextRecord finds where the next record begins in a line that is no valid record:
// Suricata counts a record that was sent in part as sent. 0: nowhere.
func nextRecord(line []byte) int { return max(bytes.LastIndex(line, recordPrefix), 0) }

// read reads a valid record.
func (r *record) read(line []byte) {
	*r = record{}
	for key, value := range jsonl.Members(line) {
		switch string(key) {
		case "flow_id":
			var err error
			r.flow, err = strconv.ParseUint(string(value), 10, 64)
			r.hasFlow = err == nil
		case "event_type":
			name := jsonl.Unquote(value)
			r.ends, r.whole = string(name) == "flow", decision.WholeEVE(string(name))
		case "app_proto":
			r.app = jsonl.Unquote(value)
		case "timestamp":
			r.time = value
		case "flow":
			if jsonl.FirstByte(value) == '{' {
				r.readFlow(value)
			}
		case "serveflow":
			r.labelled = !jsonl.IsNull(value)
			r.nullLabel = !r.labelled
		}
	}
	r.ends = r.ends && r.hasFlow
}

// readFlow reads the object flow, which alerts carry too.
func (r *record) readFlow(object []byte) {
	for key, value := range jsonl.Members(object) {
		switch string(key) {
		case "start":
			r.start = value
		case "end":
			r.end = value
		case "pkts_toserver":
			r.orig = count(value)
		case "pkts_toclient":
			r.resp = count(value)
		}
	}
}

// count reads a number of packets, 0 if it is none.
func count(value []byte) uint64 {
	n, err := strconv.ParseUint(string(value), 10, 48)
	if err != nil {
		return 0
	}
	return n
}

// endReport is the event that reports the flow's end to the shards. Its time is that
// of the flow's last packet; the time of writing differs from run to run.
func (r *record) endReport() flow.Event {
	at := r.end
	if at == nil {
		at = r.time
	}
	us, _ := jsonl.Micros(at)
	return flow.Event{ID: wire.UintID(r.flow), Time: us, Kind: flow.EndReported, OrigPkts: r.orig, RespPkts: r.resp}
}

// agrees compares the record's app_proto with the services of a label.
func (r *record) agrees(services string) decision.Agreement {
	return decision.Compare(services, string(r.app))
}

// splice appends a record with the label of its flow, which replaces a null one.
func (r *record) splice(dst, line []byte, l *label, words *decision.Words) []byte {
	if r.nullLabel {
		line = jsonl.Without(nil, line, func(key, _ []byte) bool { return string(key) == "serveflow" })
	}
	brace := bytes.LastIndexByte(line, '}')
	dst = append(dst, line[:brace]...)
	if agrees := r.agrees(words.Services); r.whole {
		dst = decision.AppendEVE(dst, words, l.score, l.margin, int(l.packets), l.latency, agrees)
	} else {
		dst = decision.AppendShortEVE(dst, words, l.score, agrees)
	}
	return append(dst, line[brace:]...)
}
