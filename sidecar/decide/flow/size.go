package flow

import (
	"unsafe"

	"serveflow/sidecar/features/packet"
)

// RecordBytes is what a table takes for each flow that it has room for, without
// packets: its record, its slots in the index (8/3 at most, and half as many more while
// that grows), and what remains of it when it is removed.
const RecordBytes = int(unsafe.Sizeof(Record{}) + 4*unsafe.Sizeof(slot{}) + unsafe.Sizeof(Ref(0)) + unsafe.Sizeof(uint64(0)))

// PacketBytes is what a table of so many packets a flow takes for each undecided flow
// besides, at worst: blocks are never given back, and flows may have filled those of
// every size one after the other.
func PacketBytes(packets int) int {
	p := newPacketSlab(packets)
	return p.bytes()
}

// bytes is what the blocks of one flow take, one of each size.
func (p *packetSlab) bytes() (n int) {
	for _, class := range p.classes {
		n += class.size*int(unsafe.Sizeof(packet.Packet{})) + int(unsafe.Sizeof(uint32(0)))
	}
	return n
}
