package wire

import (
	"io"
	"math"

	"github.com/vmihailenco/msgpack/v5"
)

// Decoder reads messages from a connection. It belongs to one goroutine.
type Decoder struct {
	in       reader
	mp       *msgpack.Decoder // reads from in, one byte or one number at a time
	err      error            // what broke the stream; sticky
	left     int              // unread elements of the current array, or values of the current map entry
	skipped  struct{ values, bytes int }
	unknown  uint64
	messages uint64 // begun
	scratch  [MaxText]byte
	words    Label // texts of the previous LABEL, which the next one may share
}

// NewDecoder returns a decoder that reads from r, in pieces of up to 64 KiB.
func NewDecoder(r io.Reader) *Decoder {
	d := &Decoder{}
	d.in = reader{src: r, buf: make([]byte, ReadBuffer)}
	d.mp = msgpack.NewDecoder(&d.in)
	return d
}

// Buffered returns how many bytes were read and not yet decoded. At 0 the next
// call of Next has to read, and may block.
func (d *Decoder) Buffered() int { return d.in.end - d.in.pos }

// Offset returns how many bytes of the stream were decoded.
func (d *Decoder) Offset() int64 { return d.in.offset() }

// Unknown returns how many messages of an unknown type were skipped.
func (d *Decoder) Unknown() uint64 { return d.unknown }

// Next reads the next message of a known type into m.
//
// The error is io.EOF if the stream ends between two messages, a *CutError if it
// ends inside one, a *MalformedError if it breaks the specification; anything else
// comes from the reader. After an error inside a message every further call returns
// the same; after an error of the reader between two messages (a deadline, say)
// Next may be called again.
func (d *Decoder) Next(m *Message) error {
	if d.err != nil {
		return d.err
	}
	for {
		if _, err := d.in.peek(); err != nil {
			return err
		}
		d.messages++
		if d.quick(m) {
			return nil
		}
		start := d.in.offset()
		known := d.message(m)
		if d.err != nil {
			d.locate(place{d.messages, start, m.Kind})
			return d.err
		}
		if known {
			return nil
		}
		d.unknown++
	}
}

// locate adds the current message to the error that broke the stream.
func (d *Decoder) locate(p place) {
	if d.err == io.EOF || d.err == io.ErrUnexpectedEOF {
		d.err = &CutError{d.in.offset(), p}
	}
	if bad, ok := d.err.(*MalformedError); ok {
		bad.place = p
	}
}

// message reads one message, or skips it and returns false if its type is
// unknown.
func (d *Decoder) message(m *Message) bool {
	*m = Message{buf: m.buf, Kind: kindUnread}
	d.skipped.values, d.skipped.bytes = 0, 0
	d.left = 1
	d.left = d.array("message", MaxElements)
	kind := d.uint("type", math.MaxInt64)
	if d.err != nil {
		return false
	}
	known := kind <= math.MaxUint8
	m.Kind = Kind(kind)
	if known {
		known = d.fields(m)
	}
	for d.err == nil && d.left > 0 {
		d.left--
		d.skip()
	}
	return known
}

// fields reads the fields of a message of type m.Kind and returns false if
// there is no such type.
func (d *Decoder) fields(m *Message) bool {
	switch m.Kind {
	case KindHello:
		d.hello(&m.Hello)
	case KindPacket:
		d.packet(m)
	case KindMeta:
		d.meta(m)
	case KindEnd:
		m.Flow = d.flow()
		m.Time = d.int63("ts_us")
	case KindSync:
		m.Token = d.uint("token", math.MaxUint64)
		if d.left > 0 {
			m.Final = d.bool("final")
		}
	case KindStats:
		m.Time = d.int63("ts_us")
		m.Sent = d.uint("sent", math.MaxInt64)
		m.Dropped = d.uint("dropped", math.MaxInt64)
	case KindLabel:
		d.label(m)
	case KindWelcome:
		d.welcome(&m.Welcome)
	case KindSynced:
		m.Token = d.uint("token", math.MaxUint64)
	case KindError:
		m.Code = ErrorCode(d.uint("code", math.MaxInt32))
		m.Text = string(d.text("text"))
	default:
		return false
	}
	return true
}

func (d *Decoder) packet(m *Message) {
	d.counters(m)
	m.WireLen = uint32(d.uint("wire_len", math.MaxUint32))
	m.Link = uint32(d.uint("link", math.MaxUint32))
	m.Raw = d.bytes("raw", MaxRaw, m)
}

func (d *Decoder) meta(m *Message) {
	d.counters(m)
	m.OrigBytes = d.count("orig_bytes")
	m.RespBytes = d.count("resp_bytes")
	m.Proto, m.PayloadLen = NoProto, NoLength
	if !d.missing("proto") {
		m.Proto = uint8(d.uint("proto", math.MaxUint8))
	}
	m.Src = d.addr("src")
	m.SrcPort = d.port("sport")
	m.Dst = d.addr("dst")
	m.DstPort = d.port("dport")
	if !d.missing("payload_len") {
		m.PayloadLen = int64(d.uint("payload_len", math.MaxInt32))
	}
	if !d.missing("payload") {
		m.Payload = d.bytes("payload", MaxPayload, m)
	}
}

// counters reads the fields PACKET and META begin with.
func (d *Decoder) counters(m *Message) {
	m.Flow = d.flow()
	m.Time = d.int63("ts_us")
	m.Dir = uint8(d.uint("dir", 2))
	m.OrigPkts = d.uint("orig_pkts", math.MaxInt64)
	m.RespPkts = d.uint("resp_pkts", math.MaxInt64)
	if d.err == nil && m.OrigPkts == 0 && m.RespPkts == 0 {
		d.malformed("resp_pkts", whyNoPackets)
	}
}

func (d *Decoder) label(m *Message) {
	m.Flow = d.flow()
	l := &d.words
	l.Flow = m.Flow
	d.share(&l.Label, "label")
	l.Score = d.score("score")
	d.share(&l.Stage, "stage")
	l.Packets = int(d.uint("packets", math.MaxInt32))
	l.LatencyUS = d.int("latency_us")
	d.share(&l.Model, "model")
	d.share(&l.Reason, "reason")
	// LABEL of earlier sidecars ends here.
	l.Services, l.Margin = "", 0
	if d.left > 0 {
		d.share(&l.Services, "services")
	}
	if d.left > 0 {
		l.Margin = d.score("margin")
	}
	m.Label = *l
}

func (d *Decoder) hello(h *Hello) {
	h.Version = d.version()
	d.entries(func(key string) bool {
		switch key {
		case "engine":
			h.Engine = string(d.text(key))
		case "engine_version":
			h.EngineVersion = string(d.text(key))
		case "sensor":
			h.Sensor = string(d.text(key))
		case "pid":
			h.PID = int(d.uint(key, math.MaxInt32))
		case "run":
			h.Run = string(d.text(key))
		case "mode":
			h.Capture = d.word(key, "live", "capture")
		case "events":
			h.Meta = d.word(key, "packet", "meta")
		case "reply":
			h.Reply = d.bool(key)
		default:
			return false
		}
		return true
	})
}

func (d *Decoder) welcome(w *Welcome) {
	w.Version = d.version()
	d.entries(func(key string) bool {
		switch key {
		case "packets":
			w.Packets = int(d.uint(key, MaxPackets))
		case "raw_bytes":
			w.RawBytes = int(d.uint(key, MaxRaw))
		case "payload_bytes":
			w.PayloadBytes = int(d.uint(key, MaxPayload))
		case "after_label":
			w.AfterLabel = d.bool(key)
		default:
			return false
		}
		return true
	})
}

// version reads and checks the version, because what follows depends on it.
func (d *Decoder) version() int {
	v := d.uint("version", math.MaxInt32)
	if d.err == nil && v != Version {
		d.malformed("version", whyVersion)
	}
	return int(v)
}
