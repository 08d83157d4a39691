package feature

import (
	"cmp"
	"fmt"
	"slices"

	"serveflow/sidecar/features/packet"
)

// Missing values. MissingSigned is that of p3_payload, whose other values may
// be negative.
const (
	Missing       = packet.Missing
	MissingSigned = -65536
)

// Plan computes a list of columns. It is immutable and may be shared.
type Plan struct {
	masks        Mask
	needsHeaders bool
	blank        []float32 // a row of a flow of which nothing is known
	flow         []cell
	packets      []packetPlan
	shapes       [][]cell // by packet with payload
	payloadBytes int
	options      [headers]optionSet
}

// packetPlan is the columns of one packet, grouped by header so that each header is
// read once.
type packetPlan struct {
	headers [headers]headerPlan
	seq     []cell
	first   []cell
}

// cell is a value that is not a bit: the index in its list of names and its
// place in the row.
type cell struct {
	index int
	at    int32
}

// headerPlan is the columns of one header, in the order of its bytes. Whole bytes
// are separate, because eight bits at a time are faster.
type headerPlan struct {
	bytes []byteCells
	bits  []bitCell
}

// byteCells are the eight bits of a byte, in adjacent columns.
type byteCells struct {
	offset uint8
	at     int32
}

type bitCell struct {
	offset uint8 // of the byte in the header
	shift  uint8 // of the bit in the byte
	at     int32
}

// Compile plans the encoding of columns, in their order. A column may occur more
// than once. Columns that masks hide in every packet read Missing. The error names
// a column that is not in the catalogue.
func Compile(columns []string, masks Mask) (*Plan, error) {
	p := &Plan{masks: masks, blank: make([]float32, len(columns)), options: maskedOptions(masks)}
	for at, name := range columns {
		c, ok := lookup(name)
		if !ok {
			return nil, fmt.Errorf("unknown feature column %q", name)
		}
		p.add(c, int32(at))
	}
	for k := range p.packets {
		for sec := range p.packets[k].headers {
			p.packets[k].headers[sec].group()
		}
	}
	return p, nil
}

func (p *Plan) add(c column, at int32) {
	p.blank[at] = c.missing()
	if c.scope == ofShape {
		for len(p.shapes) < c.packet {
			p.shapes = append(p.shapes, nil)
		}
		p.shapes[c.packet-1] = append(p.shapes[c.packet-1], cell{c.index, at})
		p.payloadBytes = max(p.payloadBytes, payloadBytes(c.index))
		return
	}
	for len(p.packets) < c.packet {
		p.packets = append(p.packets, packetPlan{})
	}
	k := &p.packets[c.packet-1]
	switch c.scope {
	case ofFlow:
		p.flow = append(p.flow, cell{c.index, at})
	case ofFirst:
		k.first = append(k.first, cell{c.index, at})
	case ofPacket:
		p.needsHeaders = p.needsHeaders || seqHeaders[c.index]
		k.seq = append(k.seq, cell{c.index, at})
	case ofHeader:
		p.needsHeaders = true
		if c.mask&p.masks == 0 {
			h := &k.headers[c.section]
			h.bits = append(h.bits, bitCell{uint8(c.index / 8), uint8(7 - c.index%8), at})
		}
	}
}

// missing is the value of a column that the flow does not have.
func (c column) missing() float32 {
	if c.scope == ofPacket && c.index == seqPayload {
		return MissingSigned
	}
	return Missing
}

// group sorts the bits by their place in the header and separates the whole bytes.
func (h *headerPlan) group() {
	slices.SortStableFunc(h.bits, func(a, b bitCell) int {
		return cmp.Or(cmp.Compare(a.offset, b.offset), cmp.Compare(b.shift, a.shift))
	})
	single := h.bits[:0]
	for i := 0; i < len(h.bits); {
		if b := h.bits[i]; wholeByte(h.bits[i:]) {
			h.bytes = append(h.bytes, byteCells{b.offset, b.at})
			i += 8
		} else {
			single = append(single, b)
			i++
		}
	}
	h.bits = slices.Clip(single)
}

// wholeByte reports whether bits begins with the eight bits of one byte, in
// adjacent columns.
func wholeByte(bits []bitCell) bool {
	if len(bits) < 8 {
		return false
	}
	for i, b := range bits[:8] {
		if b.offset != bits[0].offset || int(b.shift) != 7-i || b.at != bits[0].at+int32(i) {
			return false
		}
	}
	return true
}

// Width is the number of columns.
func (p *Plan) Width() int { return len(p.blank) }

// Packets is the highest packet number of a column: no more are needed, except for
// shapes, which use all packets that Encode gets.
func (p *Plan) Packets() int { return max(len(p.packets), min(len(p.shapes), 1)) }

// PayloadBytes is how many of a payload's first bytes the columns are made of; 0: none.
func (p *Plan) PayloadBytes() int { return p.payloadBytes }

// payloadBytes is how many of a payload's first bytes a column of its shape needs.
func payloadBytes(shape int) int {
	switch shape {
	case shapeAt, shapeDir, shapeSize, shapeGap:
		return 0
	case shapeSuites, shapeExtensions, shapeServerName, shapeProtocol:
		return packet.HelloBytes
	}
	return packet.ShapeBytes
}

// NeedsHeaders reports whether a column depends on headers, which a headerless tap
// does not send.
func (p *Plan) NeedsHeaders() bool { return p.needsHeaders }
