package telemetry

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Cell is one series of a metric in the table: a counter or a gauge.
type Cell uint8

// The cells, in the order of the table.
const (
	EventHello Cell = iota
	EventPacket
	EventHeaderless
	EventEnd
	EventSync
	EventStats
	EventUnknown // a message type that this version does not know, skipped

	DropDuplicate // a packet whose index the flow had already
	DropLate      // a packet of a decided flow
	DropUnparsed  // a frame without parsable headers
	DropMalformed // a message that broke the protocol and closed its connection
	DropLimit     // a connection beyond a limit
	DropReplyFull // a label for a tap that does not read
	DropLogFull   // a line for a label log that cannot keep up
	DropTap       // an event that the tap itself has dropped, as it reports
	DropOwnLog    // a line of the program's own log that nobody read or that repeated

	QueueShards // batches of events for shards
	QueueModel  // flows for a batched stage
	QueueSlow   // flows in their shard for a slow stage

	Peers
	Flows
	FlowsOpened
	FlowsOverdue
	LogErrors
	LogBytesRepaired

	EVEEnriched // got the label of its flow
	EVENoLabel  // its flow had no label, or not yet
	EVEOther    // of no flow, or with a label already
	EVETorn     // cut, and dropped
	EVETooLong  // over 16 MiB, and dropped
	EVEForwarded
	EVEDropped
	EVEWaited
	EVEWaiting

	ReloadApplied   // another bundle is served
	ReloadUnchanged // the bundle is the one served before
	ReloadRefused   // the new bundle is invalid; the previous one is still served
	LastReloadSuccessful
	ReloadSeconds

	LoadLevel
	LoadSteady   // every stage is asked as the bundle says
	LoadRelaxed  // thresholds are lowered, so that fewer flows need a slow stage
	LoadShedding // flows are decided without the slow stages that they need

	cells
)

const (
	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue
)

// metric is a row of the table: its series are the cells from first on, one for each
// value of the label, or the single cell first if it has no label.
type metric struct {
	name, help string
	kind       prometheus.ValueType
	first      Cell
	label      string
	values     string
}

var table = []metric{
	{"events_total", "Messages from taps.", counter, EventHello, "kind", "hello packet meta end sync stats unknown"},
	{"drops_total", "Items that were not used, by reason.", counter, DropDuplicate, "reason", "duplicate late unparsed malformed over_limit reply_full log_full tap_dropped own_log"},
	{"queue_depth", "Queued items: event batches for shards, flows for a batched or slow stage.", gauge, QueueShards, "queue", "shards model slow"},
	{"peers", "Connected taps.", gauge, Peers, "", ""},
	{"flows", "Flows tracked now.", gauge, Flows, "", ""},
	{"flows_total", "Flows seen.", counter, FlowsOpened, "", ""},
	{"overdue_flows_total", "Live flows that waited longer than flow.deadline for their decision.", counter, FlowsOverdue, "", ""},
	{"log_errors_total", "Failed writes, rotations and openings of the label log.", counter, LogErrors, "", ""},
	{"log_bytes_repaired_total", "Bytes of torn lines cut off the label log.", counter, LogBytesRepaired, "", ""},
	{"eve_records_total", "Records of Suricata's EVE log, by result.", counter, EVEEnriched, "result", "enriched no_label other torn too_long"},
	{"eve_output_records_total", "Records of EVE written to the output, and records dropped because it did not take them.", counter, EVEForwarded, "result", "forwarded dropped"},
	{"eve_waited_total", "Flow records of EVE that waited for their label.", counter, EVEWaited, "", ""},
	{"eve_waiting", "Flow records of EVE that wait for their label now.", gauge, EVEWaiting, "", ""},
	{"reloads_total", "Reloads, by result.", counter, ReloadApplied, "result", "applied unchanged refused"},
	{"last_reload_successful", "Whether the last reload succeeded; 1 before the first.", gauge, LastReloadSuccessful, "", ""},
	{"reload_duration_seconds", "Duration of the reload in progress; 0 if there is none.", gauge, ReloadSeconds, "", ""},
	{"load_level", "Load-shedding level of the busiest shard: 0 none, 1 to 4 thresholds lowered in steps, 5 shedding.", gauge, LoadLevel, "", ""},
	{"load_transitions_total", "Changes of a shard's load state, by the new state.", counter, LoadSteady, "to", "steady loosened shedding"},
}

// series are the label values of a metric's cells, "" for a metric without label.
func (m *metric) series() []string {
	if m.label == "" {
		return []string{""}
	}
	return strings.Fields(m.values)
}

// String is the label value of the cell, or the metric's name if it has no label.
func (c Cell) String() string {
	for i := range table {
		m := &table[i]
		if n := m.series(); c >= m.first && int(c-m.first) < len(n) {
			if m.label == "" {
				return m.name
			}
			return n[c-m.first]
		}
	}
	return ""
}
