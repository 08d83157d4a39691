package wire

import (
	"math"
	"net/netip"
	"strconv"
)

// Version is the protocol's version, which HELLO and WELCOME carry.
const Version = 1

// Limits of version 1. A message beyond one of them is malformed.
const (
	MaxFlowID  = 32   // bytes of a flow id that is text
	MaxText    = 256  // bytes of any other text
	MaxRaw     = 2048 // bytes of PACKET's raw
	MaxPayload = 2048 // bytes of META's payload
	MaxPackets = 1024 // packets a flow that WELCOME may ask for

	MaxElements   = 64    // elements of a message, the type included
	MaxKeys       = 64    // keys of a map
	MaxSkipValues = 1024  // values skipped in one message, nested ones included
	MaxSkipBytes  = 65536 // bytes of text, binary and extension values skipped in one message
)

// NoCount stands in OrigBytes and RespBytes for a count the tap does not have.
const NoCount = math.MaxUint64

// NoLength stands in PayloadLen for a length the tap does not have.
const NoLength = -1

// NoProto stands in Proto for a protocol number the tap does not have.
const NoProto = 0

// Kind is a message's type, the first element of its array.
type Kind uint8

// The message types of version 1. Below 16 they come from the tap, from 16 on
// from the sidecar.
const (
	KindHello   Kind = 0
	KindPacket  Kind = 1
	KindMeta    Kind = 2
	KindEnd     Kind = 3
	KindSync    Kind = 4
	KindStats   Kind = 5
	KindLabel   Kind = 16
	KindWelcome Kind = 17
	KindSynced  Kind = 18
	KindError   Kind = 19
)

// kindUnread is the type of a message that broke before its type was read.
const kindUnread Kind = 255

// String returns the type's name as the specification writes it.
func (k Kind) String() string {
	switch k {
	case KindHello:
		return "HELLO"
	case KindPacket:
		return "PACKET"
	case KindMeta:
		return "META"
	case KindEnd:
		return "END"
	case KindSync:
		return "SYNC"
	case KindStats:
		return "STATS"
	case KindLabel:
		return "LABEL"
	case KindWelcome:
		return "WELCOME"
	case KindSynced:
		return "SYNCED"
	case KindError:
		return "ERROR"
	}
	return "type " + strconv.Itoa(int(k))
}

// Message is one decoded message. Kind says which fields are set; the others are
// zero. A Message is meant to be reused: Raw and Payload point into its own memory
// and are valid until the next Decoder.Next with it.
type Message struct {
	Kind Kind

	// PACKET, META and END.
	Flow FlowID
	Time int64 // ts_us, microseconds since the epoch; also of STATS

	// PACKET and META.
	Dir      uint8  // 0 originator, 1 responder, 2 unknown
	OrigPkts uint64 // packets of the originator so far, this one included
	RespPkts uint64 // packets of the responder so far, this one included

	// PACKET.
	WireLen uint32 // bytes of the packet on the wire, from where Raw begins; 0: not known
	Link    uint32 // what Raw begins with: 101 IP header, 1 Ethernet, 0 "look"
	Raw     []byte // the packet's first bytes, at most MaxRaw

	// META. What the tap does not have is missing, never zero.
	OrigBytes  uint64     // bytes of the originator so far, or NoCount
	RespBytes  uint64     // bytes of the responder so far, or NoCount
	Proto      uint8      // IP protocol number, or NoProto
	Src, Dst   netip.Addr // sender and receiver of this packet; invalid: missing
	SrcPort    uint16     // 0: missing
	DstPort    uint16     // 0: missing
	PayloadLen int64      // bytes of the packet's payload, or NoLength
	Payload    []byte     // first bytes of the payload, at most MaxPayload; nil: missing

	// SYNC and SYNCED.
	Token uint64
	Final bool // SYNC: end all open flows of this connection first

	// STATS: the tap's messages since it started.
	Sent, Dropped uint64

	Hello   Hello   // HELLO
	Label   Label   // LABEL; its flow stands in Flow too
	Welcome Welcome // WELCOME

	// ERROR.
	Code ErrorCode
	Text string

	buf []byte // what Raw and Payload point into
}

// Hello is a tap's first message.
type Hello struct {
	Version       int
	Engine        string // for example "zeek"
	EngineVersion string // for example "8.0.10"
	Sensor        string // whose flows these are: flow ids are unique within a sensor
	PID           int    // process id of the engine; 0: not known
	Run           string // names one run over a capture, the same on all its connections; empty: not known
	Capture       bool   // mode "capture": packet time alone counts; else "live"
	Meta          bool   // events "meta": META messages follow; else "packet"
	Reply         bool   // wants LABELs
}

// Label is a decision on a flow.
type Label struct {
	Flow      FlowID
	Label     string
	Score     float32 // the model's probability for Label, 0 to 1
	Stage     string  // name of the stage that decided
	Packets   int     // packets that the decision is based on
	LatencyUS int64   // microseconds from the flow's first packet to the decision
	Model     string  // "name@version" of the bundle
	Reason    string  // what triggered the decision, for example "accepted"
	Services  string  // protocols that fit Label, separated by commas; empty: not known
	Margin    float32 // Score minus that of the next class, 0 to 1
}

// Welcome answers HELLO: what the loaded bundle needs of each flow.
type Welcome struct {
	Version      int
	Packets      int // packets of a flow, both directions together
	RawBytes     int // bytes of each packet, from where raw begins
	PayloadBytes int // of these, bytes of payload; 0: headers only
	// AfterLabel asks for a flow's packets also after its LABEL.
	AfterLabel bool
}
