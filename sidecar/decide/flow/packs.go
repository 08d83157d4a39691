package flow

import "serveflow/sidecar/features/packet"

// packs holds the packets of a table's flows in blocks of a few sizes. Most
// flows are short: a flow begins with room for one packet and moves to a
// larger block when it outgrows it.
type packs struct {
	want  int
	sizes []slabOf
}

// slabOf is the blocks of one size, in chunks that never move.
type slabOf struct {
	size   int
	chunks [][]packet.Packet
	used   uint32
	spare  []uint32
}

const (
	noBlock     = -1
	chunkBlocks = 256
)

func newPacks(want int) packs {
	var p packs
	p.grow(want)
	return p
}

// grow makes want the number of packets that flows want. Blocks that are in use
// stay as they are, and blocks of the sizes that there are are used on.
func (p *packs) grow(want int) {
	p.want = min(max(want, 1), MaxPackets)
	for _, size := range []int{1, 4, p.want} {
		if size <= p.want && (len(p.sizes) == 0 || p.sizes[len(p.sizes)-1].size < size) {
			p.sizes = append(p.sizes, slabOf{size: size})
		}
	}
}

// slot is packet i of a flow, in a block made large enough.
func (p *packs) slot(rec *Record, i int) *packet.Packet {
	if rec.class == noBlock || i >= p.sizes[rec.class].size {
		class := max(int(rec.class)+1, 0)
		for p.sizes[class].size <= i {
			class++
		}
		block := p.sizes[class].take()
		if rec.class != noBlock {
			copy(p.sizes[class].at(block), p.block(rec))
			p.free(rec)
		}
		rec.class, rec.block = int8(class), block
	}
	return &p.block(rec)[i]
}

func (p *packs) block(rec *Record) []packet.Packet {
	if rec.class == noBlock {
		return nil
	}
	return p.sizes[rec.class].at(rec.block)
}

func (p *packs) free(rec *Record) {
	if rec.class != noBlock {
		s := &p.sizes[rec.class]
		s.spare = append(s.spare, rec.block)
		rec.class = noBlock
	}
}

func (s *slabOf) at(block uint32) []packet.Packet {
	from := int(block%chunkBlocks) * s.size
	return s.chunks[block/chunkBlocks][from : from+s.size : from+s.size]
}

func (s *slabOf) take() uint32 {
	if n := len(s.spare); n > 0 {
		b := s.spare[n-1]
		s.spare = s.spare[:n-1]
		return b
	}
	b := s.used
	s.used++
	if int(b/chunkBlocks) == len(s.chunks) {
		s.chunks = append(s.chunks, make([]packet.Packet, chunkBlocks*s.size))
	}
	return b
}
