package faults

import (
	"cmp"
	"io"
	"slices"

	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/replay"
	"serveflow/test/frames"
)

// traffic is a capture made up: flows that begin one after the other and last a
// while, so that many are under way at any time.
type traffic struct {
	flows, packets int   // flows, and packets of each
	every, gap     int64 // µs between flows, and between the packets of one
	jitter         int64 // by how many µs packets come out of order
	next           int
	order          []instant
}

// instant is when a flow, counted from 0, has a packet.
type instant struct {
	at   int64
	flow uint32
}

// first is when flow id, counted from 1 as replay does, has its first packet.
func (c *traffic) first(id uint64) int64 { return begin + int64(id-1)*c.every }

// Next implements replay.Packets.
func (c *traffic) Next(r *replay.Record) error {
	if c.order == nil {
		for f := range c.flows {
			for k := range c.packets {
				c.order = append(c.order, instant{c.first(uint64(f+1)) + int64(k)*c.gap, uint32(f)})
			}
		}
		slices.SortStableFunc(c.order, func(a, b instant) int { return cmp.Compare(a.at, b.at) })
	}
	if c.next == len(c.order) {
		return io.EOF
	}
	i := c.order[c.next]
	c.next++
	port := []uint16{53, 80, 9}[i.flow%3]
	early := int64(uint32(c.next)*2654435761) % (c.jitter + 1)
	*r = replay.Record{Time: i.at - early, Link: packet.RawIP, Frame: frames.Headers(i.flow, port), WireLen: 40}
	return nil
}
