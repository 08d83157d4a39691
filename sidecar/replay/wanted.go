package replay

import (
	"sync"

	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/tap/wire"
)

// beforeWelcome is what a tap may send before it knows what is needed.
var beforeWelcome = wire.Welcome{Packets: 10, RawBytes: 192}

// wanted knows which events of a live tap need not be sent because their flow
// has its label. A tap of a capture does not ask: what it sends must not
// depend on how soon labels come.
type wanted struct {
	mu    sync.Mutex
	flows map[uint64]bool // open flows, true when labelled; nil in a capture
}

// packet says whether a packet of a flow is wanted that is its index-th.
func (w *wanted) packet(flow, index uint64) bool {
	if w.flows == nil {
		return true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if index == 1 {
		w.flows[flow] = false
	}
	return !w.flows[flow]
}

func (w *wanted) labelled(flow uint64) {
	if w.flows == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, open := w.flows[flow]; open {
		w.flows[flow] = true
	}
}

func (w *wanted) ended(flow uint64) {
	if w.flows == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.flows, flow)
}

// PacketMessage fills in what PACKET says of ev's packet to a sidecar that needs
// so much of it; the message's flow, time and counters are the caller's to set.
func PacketMessage(m *wire.Message, ev *Event, need *wire.Welcome) {
	h := &ev.Headers
	m.WireLen, m.Link = uint32(ev.WireLen), uint32(ev.Link)
	headers := h.TransOff + h.TransLen
	m.Raw = ev.Frame[:min(len(ev.Frame), need.RawBytes, headers+need.PayloadBytes, wire.MaxRaw)]
}

// metaMessage fills in META with what an IDS knows that shows no headers.
func metaMessage(m *wire.Message, ev *Event, need *wire.Welcome) {
	h := &ev.Headers
	m.OrigBytes, m.RespBytes = ev.OrigBytes, ev.RespBytes
	m.Proto = h.Tuple.Proto
	m.Src, m.SrcPort = h.Tuple.SrcAddr(), h.Tuple.SrcPort
	m.Dst, m.DstPort = h.Tuple.DstAddr(), h.Tuple.DstPort
	m.PayloadLen, m.Payload = wire.NoLength, nil
	if h.Payload != packet.Missing {
		m.PayloadLen = int64(h.Payload)
	}
	if payload := ev.Frame[h.TransOff+h.TransLen:]; need.PayloadBytes > 0 {
		m.Payload = payload[:min(len(payload), need.PayloadBytes, wire.MaxPayload)]
	}
}
