package enrich

import (
	"bytes"
	"net/netip"
	"strconv"

	"serveflow/sidecar/jsonline"
	"serveflow/sidecar/packet"
	"serveflow/sidecar/sink"
)

// row is what a record tells of its flow. What it points to is the record's.
type row struct {
	id        []byte // as a JSON value: a number, or a text in quotes
	start     int64  // microseconds since the epoch
	timed     bool   // start is known
	community []byte
	labelled  bool // has a label already

	src, dst, proto []byte
	sport, dport    []byte // ICMP: type and code
	computed        [32]byte
}

// isFlow says whether the record tells which flow it belongs to.
func (r *row) isFlow() bool {
	return len(r.id) > 0 || len(r.community) > 0 || len(r.src) > 0 && len(r.dst) > 0
}

// computeCommunityID returns the Community ID of the row's ends; empty if they
// are not known.
func (r *row) computeCommunityID() []byte {
	src, dst := addr(r.src), addr(r.dst)
	if !src.IsValid() || src.Is4() != dst.Is4() || !dst.IsValid() {
		return nil
	}
	t := packet.Tuple{SrcPort: port(r.sport), DstPort: port(r.dport), Proto: proto(r.proto), Version: 6}
	if src.Is4() {
		t.Version = 4
		a, b := src.As4(), dst.As4()
		copy(t.Src[:], a[:])
		copy(t.Dst[:], b[:])
	} else {
		t.Src, t.Dst = src.As16(), dst.As16()
		if t.Proto == packet.ICMP { // Zeek says icmp to both
			t.Proto = packet.ICMPv6
		}
	}
	return sink.AppendCommunityID(r.computed[:0], t)
}

// readJSON reads a record of Zeek or Suricata, and says whether it is the
// latter's.
func (r *row) readJSON(line []byte) (eve bool) {
	for key, value := range jsonline.Members(line) {
		switch string(key) {
		// Zeek
		case "uid":
			r.id = value
		case "ts":
			r.setTime(value)
		case "id.orig_h":
			r.src = jsonline.Unquote(value)
		case "id.resp_h":
			r.dst = jsonline.Unquote(value)
		case "id.orig_p":
			r.sport = value
		case "id.resp_p":
			r.dport = value
		case "ml_label":
			r.labelled = true

		// Suricata
		case "event_type":
			eve = true
		case "flow_id":
			eve = true
			r.id = value
		case "timestamp":
			if !r.timed {
				r.setTime(value)
			}
		case "flow":
			if jsonline.FirstByte(value) == '{' {
				for key, value := range jsonline.Members(value) {
					if string(key) == "start" {
						r.setTime(value)
					}
				}
			}
		case "src_ip":
			r.src = jsonline.Unquote(value)
		case "dest_ip":
			r.dst = jsonline.Unquote(value)
		case "src_port", "icmp_type":
			r.sport = value
		case "dest_port", "icmp_code":
			r.dport = value
		case "serveflow":
			r.labelled = true

		// Both
		case "proto":
			r.proto = jsonline.Unquote(value)
		case "community_id":
			r.community = jsonline.Unquote(value)
		}
	}
	return eve
}

// setTime reads a time as either IDS writes it; what it cannot read is left
// out.
func (r *row) setTime(value []byte) {
	if us, ok := jsonline.Micros(value); ok {
		r.start, r.timed = us, true
	}
}

func addr(b []byte) netip.Addr {
	a, err := netip.ParseAddr(string(b))
	if err != nil || a.Zone() != "" {
		return netip.Addr{}
	}
	return a.Unmap()
}

func port(b []byte) uint16 {
	n, err := strconv.ParseUint(string(b), 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}

var protoNames = [...]struct {
	name []byte
	n    uint8
}{
	{[]byte("tcp"), packet.TCP},
	{[]byte("udp"), packet.UDP},
	{[]byte("icmp"), packet.ICMP},
	{[]byte("ipv6-icmp"), packet.ICMPv6},
	{[]byte("sctp"), 132},
}

// proto reads a protocol as Zeek (tcp, icmp) and Suricata (TCP, IPv6-ICMP)
// name it, or its number; 0 if it is neither.
func proto(b []byte) uint8 {
	for _, p := range protoNames {
		if bytes.EqualFold(b, p.name) {
			return p.n
		}
	}
	n, err := strconv.ParseUint(string(b), 10, 8)
	if err != nil {
		return 0
	}
	return uint8(n)
}
