package wire

import (
	"fmt"
	"io"
	"math"
	"net/netip"
)

// Encoder writes messages to a connection. It belongs to one goroutine.
//
// Each message goes to the writer in one Write, so that a writer that takes all or
// nothing never cuts one. Use a buffered writer for many messages. What a Decoder
// would refuse is not written and returned as a *MalformedError.
type Encoder struct {
	w   io.Writer
	out buffer
	err error // of the current message
}

// NewEncoder returns an encoder that writes to w.
func NewEncoder(w io.Writer) *Encoder {
	return &Encoder{w: w}
}

// Hello writes HELLO. Version 0 stands for the package's version.
func (e *Encoder) Hello(h *Hello) error {
	e.begin(KindHello, 2)
	e.version(h.Version)
	if h.Run == "" {
		e.out.entries(7)
	} else {
		e.out.entries(8)
		e.key("run")
		e.text("run", h.Run)
	}
	e.key("engine")
	e.text("engine", h.Engine)
	e.key("engine_version")
	e.text("engine_version", h.EngineVersion)
	e.key("sensor")
	e.text("sensor", h.Sensor)
	e.key("pid")
	e.int("pid", int64(h.PID), math.MaxInt32)
	e.key("mode")
	e.out.text(pick(h.Capture, "live", "capture"))
	e.key("events")
	e.out.text(pick(h.Meta, "packet", "meta"))
	e.key("reply")
	e.out.bool(h.Reply)
	return e.flush()
}

// Packet writes PACKET from m's fields of that type.
func (e *Encoder) Packet(m *Message) error {
	e.begin(KindPacket, 8)
	e.counters(m)
	e.out.uint(uint64(m.WireLen))
	e.out.uint(uint64(m.Link))
	e.bytes("raw", m.Raw, MaxRaw)
	return e.flush()
}

// Meta writes META from m's fields of that type.
func (e *Encoder) Meta(m *Message) error {
	e.begin(KindMeta, 14)
	e.counters(m)
	e.count("orig_bytes", m.OrigBytes)
	e.count("resp_bytes", m.RespBytes)
	e.uintOrNil(uint64(m.Proto), m.Proto == NoProto)
	e.addr("src", m.Src)
	e.uintOrNil(uint64(m.SrcPort), m.SrcPort == 0)
	e.addr("dst", m.Dst)
	e.uintOrNil(uint64(m.DstPort), m.DstPort == 0)
	if m.PayloadLen == NoLength {
		e.out.nil()
	} else {
		e.int("payload_len", m.PayloadLen, math.MaxInt32)
	}
	if m.Payload == nil {
		e.out.nil()
	} else {
		e.bytes("payload", m.Payload, MaxPayload)
	}
	return e.flush()
}

// End writes END: the flow is over for the IDS. ts is in microseconds since
// the epoch.
func (e *Encoder) End(flow FlowID, ts int64) error {
	e.begin(KindEnd, 2)
	e.flow(&flow)
	e.int("ts_us", ts, math.MaxInt64)
	return e.flush()
}

// Sync writes SYNC.
func (e *Encoder) Sync(token uint64, final bool) error {
	e.begin(KindSync, 2)
	e.out.uint(token)
	e.out.bool(final)
	return e.flush()
}

// Stats writes STATS: the capture clock in microseconds since the epoch and
// the tap's messages sent and dropped since it started.
func (e *Encoder) Stats(ts int64, sent, dropped uint64) error {
	e.begin(KindStats, 3)
	e.int("ts_us", ts, math.MaxInt64)
	e.uint("sent", sent, math.MaxInt64)
	e.uint("dropped", dropped, math.MaxInt64)
	return e.flush()
}

// finite writes a finite number.
func (e *Encoder) finite(field string, f float32) {
	if !finite(f) {
		e.refuse(field, whyScore)
	}
	e.out.float32(f)
}

// Label writes LABEL.
func (e *Encoder) Label(l *Label) error {
	e.begin(KindLabel, 10)
	e.flow(&l.Flow)
	e.text("label", l.Label)
	e.finite("score", l.Score)
	e.text("stage", l.Stage)
	e.int("packets", int64(l.Packets), math.MaxInt32)
	e.out.int(l.LatencyUS)
	e.text("model", l.Model)
	e.text("reason", l.Reason)
	e.text("services", l.Services)
	e.finite("margin", l.Margin)
	return e.flush()
}

// Welcome writes WELCOME. Version 0 stands for the package's version.
func (e *Encoder) Welcome(w *Welcome) error {
	e.begin(KindWelcome, 2)
	e.version(w.Version)
	keys := 3
	if w.AfterLabel {
		keys = 4
	}
	e.out.entries(keys)
	e.key("packets")
	e.int("packets", int64(w.Packets), MaxPackets)
	e.key("raw_bytes")
	e.int("raw_bytes", int64(w.RawBytes), MaxRaw)
	e.key("payload_bytes")
	e.int("payload_bytes", int64(w.PayloadBytes), MaxPayload)
	if w.AfterLabel {
		e.key("after_label")
		e.out.bool(true)
	}
	return e.flush()
}

// Synced writes SYNCED.
func (e *Encoder) Synced(token uint64) error {
	e.begin(KindSynced, 1)
	e.out.uint(token)
	return e.flush()
}

// Error writes ERROR. A text that is too long is cut.
func (e *Encoder) Error(code ErrorCode, text string) error {
	e.begin(KindError, 2)
	e.int("code", int64(code), math.MaxInt32)
	e.text("text", CleanText(text))
	return e.flush()
}

// The methods below write one value, and note what must not be written.

func (e *Encoder) begin(k Kind, fields int) {
	e.err = nil
	e.out.b = e.out.b[:0]
	e.out.array(1 + fields)
	e.out.uint(uint64(k))
}

func (e *Encoder) flush() error {
	if e.err != nil {
		return e.err
	}
	_, err := e.w.Write(e.out.b)
	return err
}

func (e *Encoder) refuse(field, why string) {
	if e.err == nil {
		e.err = &MalformedError{Field: field, Why: why}
	}
}

func (e *Encoder) key(k string) { e.out.text(k) }

func (e *Encoder) version(v int) {
	if v != 0 && v != Version {
		e.refuse("version", whyVersion)
	}
	e.out.uint(Version)
}

func (e *Encoder) counters(m *Message) {
	if m.OrigPkts == 0 && m.RespPkts == 0 {
		e.refuse("resp_pkts", whyNoPackets)
	}
	e.flow(&m.Flow)
	e.int("ts_us", m.Time, math.MaxInt64)
	e.uint("dir", uint64(m.Dir), 2)
	e.uint("orig_pkts", m.OrigPkts, math.MaxInt64)
	e.uint("resp_pkts", m.RespPkts, math.MaxInt64)
}

func (e *Encoder) flow(f *FlowID) {
	if f.n == 0 {
		e.out.uint(f.Uint())
		return
	}
	e.out.textLen(int(f.n))
	e.out.b = append(e.out.b, f.b[:f.n]...)
}

func (e *Encoder) uint(field string, u, limit uint64) {
	if u > limit {
		e.refuse(field, fmt.Sprintf("%d is over %d", u, limit))
	}
	e.out.uint(u)
}

func (e *Encoder) int(field string, i int64, limit uint64) {
	if i < 0 {
		e.refuse(field, "negative")
	}
	e.uint(field, uint64(i), limit)
}

func (e *Encoder) count(field string, u uint64) {
	if u == NoCount {
		e.out.nil()
		return
	}
	e.uint(field, u, math.MaxInt64)
}

func (e *Encoder) uintOrNil(u uint64, missing bool) {
	if missing {
		e.out.nil()
		return
	}
	e.out.uint(u)
}

func (e *Encoder) text(field, s string) {
	if len(s) > MaxText {
		e.refuse(field, fmt.Sprintf("%d bytes, over %d", len(s), MaxText))
	} else if !printable(s) {
		e.refuse(field, whyText)
	}
	e.out.text(s)
}

func (e *Encoder) bytes(field string, b []byte, limit int) {
	if len(b) > limit {
		e.refuse(field, fmt.Sprintf("%d bytes, over %d", len(b), limit))
		return
	}
	e.out.bytes(b)
}

func (e *Encoder) addr(field string, a netip.Addr) {
	switch a = a.Unmap(); {
	case !a.IsValid():
		e.out.nil()
	case a.Zone() != "":
		e.refuse(field, "an address with a zone")
	case a.Is4():
		b := a.As4()
		e.bytes(field, b[:], len(b))
	default:
		b := a.As16()
		e.bytes(field, b[:], len(b))
	}
}

func pick[T any](second bool, a, b T) T {
	if second {
		return b
	}
	return a
}

// CleanText makes any text valid for a message: control characters and broken UTF-8
// become spaces, and it is cut at MaxText bytes.
func CleanText(s string) string {
	if len(s) <= MaxText && printable(s) {
		return s
	}
	b := make([]byte, 0, MaxText)
	for _, r := range s {
		c := string(r)
		if r == '\ufffd' || !printable(c) {
			c = " "
		}
		if len(b)+len(c) > MaxText {
			break
		}
		b = append(b, c...)
	}
	return string(b)
}
