package replay

import (
	"encoding/binary"
	"fmt"

	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/operate/pages"
)

// pcap reads the classic format: a header of 24 bytes, then records of 16
// bytes and a frame each (draft-ietf-opsawg-pcap).
type pcap struct {
	order binary.ByteOrder
	perUS uint32 // units of the fraction in a microsecond
	link  packet.Link
}

const (
	magicMicros = 0xa1b2c3d4
	magicNanos  = 0xa1b23c4d
)

func openPcap(in *input) (*pcap, error) {
	b, err := in.more(24)
	if err != nil {
		return nil, fmt.Errorf("reading the pcap header: %w", err)
	}
	p := &pcap{}
	switch le, be := binary.LittleEndian.Uint32(b), binary.BigEndian.Uint32(b); {
	case le == magicMicros:
		p.order, p.perUS = binary.LittleEndian, 1
	case le == magicNanos:
		p.order, p.perUS = binary.LittleEndian, 1000
	case be == magicMicros:
		p.order, p.perUS = binary.BigEndian, 1
	case be == magicNanos:
		p.order, p.perUS = binary.BigEndian, 1000
	default:
		return nil, fmt.Errorf("not a capture: it begins with % x; supported are pcap and pcapng, also in gzip or zstd", b[:4])
	}
	if major := p.order.Uint16(b[4:]); major != 2 {
		return nil, fmt.Errorf("pcap version %d is not supported, only 2", major)
	}
	// The upper half describes a frame check sequence, which the lengths in the IP
	// header do not include.
	p.link, err = linkOf(p.order.Uint32(b[20:]) & 0xffff)
	return p, err
}

// linkOf is packet.LinkOf with an error that helps.
func linkOf(linktype uint32) (packet.Link, error) {
	link, ok := packet.LinkOf(linktype)
	if !ok {
		return 0, fmt.Errorf("link type %d is not supported: %s lists the supported ones", linktype, pages.At("docs/captures.md"))
	}
	return link, nil
}

func (p *pcap) next(in *input, rec *Record) error {
	in.begin()
	b, err := in.next(16)
	if err != nil {
		return err
	}
	rec.Time = clampTime(int64(p.order.Uint32(b))*1e6 + int64(p.order.Uint32(b[4:])/p.perUS))
	rec.Link, rec.Unread = p.link, nil
	captured, wire := p.order.Uint32(b[8:]), p.order.Uint32(b[12:])
	return frame(in, rec, captured, wire)
}

// frame reads the captured bytes of a record.
func frame(in *input, rec *Record, captured, wire uint32) error {
	if captured > MaxRecord {
		return fmt.Errorf("a record of %d bytes exceeds the longest packet (%d): the file is damaged", captured, MaxRecord)
	}
	b, err := in.more(int(captured))
	if err != nil {
		return err
	}
	rec.Frame = b
	// Some writers leave the wire length 0, or give one that is too small.
	rec.WireLen = int(max(min(wire, 1<<24), captured))
	return nil
}
