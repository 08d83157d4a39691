package telemetry

// Event is a kind of message from a tap.
type Event uint8

// The kinds of messages, as the protocol names them.
const (
	EventHello Event = iota
	EventPacket
	EventHeaderless
	EventEnd
	EventSync
	EventStats
	EventUnknown // of a type this version does not know, skipped
	events
)

var eventNames = [events]string{"hello", "packet", "meta", "end", "sync", "stats", "unknown"}

// Drop says why something was not used.
type Drop uint8

// Why something was dropped.
const (
	DropDuplicate Drop = iota // a packet whose index the flow had already
	DropLate                  // a packet of a flow that is decided
	DropUnparsed              // a frame without headers that could be read
	DropMalformed             // a message that broke the protocol, and closed its connection
	DropLimit                 // a connection past a limit
	DropReplyFull             // a label for a tap that does not read
	DropLogFull               // a line for a label log that cannot keep up
	DropTap                   // an event the tap itself dropped, by its own count
	DropOwnLog                // a line of the program's own log that nobody read or that repeated
	drops
)

var dropNames = [drops]string{
	"duplicate", "late", "unparsed", "malformed", "over_limit", "reply_full", "log_full", "tap_dropped", "own_log",
}

// EVE says what became of a record of Suricata's EVE log.
type EVE uint8

// What became of a record.
const (
	EVEEnriched EVE = iota // it got the label of its flow
	EVENoLabel             // its flow had none, or not yet
	EVEOther               // of no flow, or it had a label already
	EVETorn                // cut, and dropped
	EVETooLong             // over 16 MiB, and dropped
	EVEResults             // there are so many
)

var eveNames = [EVEResults]string{"enriched", "no_label", "other", "torn", "too_long"}

// Queue is a place where work waits.
type Queue uint8

// The queues.
const (
	QueueShards Queue = iota // batches of events that wait for their shard
	QueueModel               // flows that wait for a batched stage
	QueueSlow                // flows that wait in their shard for a slow stage
	queues
)

var queueNames = [queues]string{"shards", "model", "slow"}

// Load says how a shard bends under its load.
type Load uint8

// The loads.
const (
	LoadSteady   Load = iota // every stage is asked as the bundle says
	LoadRelaxed              // thresholds are lowered, so that less goes to slow stages
	LoadShedding             // flows do without slow stages that they would have needed
	loads
)

var loadNames = [loads]string{"steady", "loosened", "shedding"}

func (l Load) String() string { return loadNames[l] }

// Reload says how a reload ended.
type Reload uint8

// How a reload ended.
const (
	ReloadApplied   Reload = iota // another bundle is served
	ReloadUnchanged               // it is the bundle that was served before
	ReloadRefused                 // something is wrong with it; the one before is still served
	reloads
)

var reloadNames = [reloads]string{"applied", "unchanged", "refused"}

// noStage stands for the stage of a decision that no model was asked for, and
// unknown for the label of one that no stage was sure of.
const (
	noStage = "none"
	unknown = "unknown"
)
