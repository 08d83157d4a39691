package flow

import "serveflow/sidecar/features/packet"

// packetSlab holds the packets of a table's flows in blocks of a few size classes.
// Most flows are short: a flow begins with a block of one packet and moves to a
// larger block when it outgrows it.
type packetSlab struct {
	maxPackets int
	classes    []sizeClass
}

// sizeClass is the blocks of one size, in chunks that never move.
type sizeClass struct {
	size       int
	chunks     [][]packet.Packet
	used       uint32
	freeBlocks []uint32
}

const (
	noBlock     = -1
	chunkBlocks = 256
)

func newPacketSlab(want int) packetSlab {
	var p packetSlab
	p.grow(want)
	return p
}

// grow sets the number of packets held of each flow from now on. Blocks in use
// stay as they are, and the existing size classes remain.
func (p *packetSlab) grow(want int) {
	p.maxPackets = min(max(want, 1), MaxPackets)
	for _, size := range []int{1, 4, p.maxPackets} {
		if size <= p.maxPackets && (len(p.classes) == 0 || p.classes[len(p.classes)-1].size < size) {
			p.classes = append(p.classes, sizeClass{size: size})
		}
	}
}

// slot is packet i of a flow, in a block made large enough.
func (p *packetSlab) slot(rec *Record, i int) *packet.Packet {
	if rec.sizeClass == noBlock || i >= p.classes[rec.sizeClass].size {
		class := max(int(rec.sizeClass)+1, 0)
		for p.classes[class].size <= i {
			class++
		}
		block := p.classes[class].take()
		if rec.sizeClass != noBlock {
			copy(p.classes[class].at(block), p.block(rec))
			p.free(rec)
		}
		rec.sizeClass, rec.block = int8(class), block
	}
	return &p.block(rec)[i]
}

func (p *packetSlab) block(rec *Record) []packet.Packet {
	if rec.sizeClass == noBlock {
		return nil
	}
	return p.classes[rec.sizeClass].at(rec.block)
}

func (p *packetSlab) free(rec *Record) {
	if rec.sizeClass != noBlock {
		s := &p.classes[rec.sizeClass]
		s.freeBlocks = append(s.freeBlocks, rec.block)
		rec.sizeClass = noBlock
	}
}

func (s *sizeClass) at(block uint32) []packet.Packet {
	from := int(block%chunkBlocks) * s.size
	return s.chunks[block/chunkBlocks][from : from+s.size : from+s.size]
}

func (s *sizeClass) take() uint32 {
	if n := len(s.freeBlocks); n > 0 {
		b := s.freeBlocks[n-1]
		s.freeBlocks = s.freeBlocks[:n-1]
		return b
	}
	b := s.used
	s.used++
	if int(b/chunkBlocks) == len(s.chunks) {
		s.chunks = append(s.chunks, huge(make([]packet.Packet, chunkBlocks*s.size)))
	}
	return b
}
