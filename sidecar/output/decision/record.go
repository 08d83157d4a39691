package decision

import (
	"net/netip"
	"strconv"
	"time"
	"unicode/utf8"

	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/output/communityid"
	"serveflow/sidecar/tap/wire"
)

// Record is one decision.
type Record struct {
	Start     int64  // time of the flow's first packet, microseconds since the epoch
	Sensor    string // of the flow's tap
	Flow      wire.FlowID
	Tuple     packet.Tuple // from the originator; Version 0 where no address is known
	Label     string
	Score     float32 // the model's probability for Label, 0 to 1
	Margin    float32 // Score minus the next class's, 0 to 1
	Stage     string
	Packets   int    // packets that the decision is based on
	LatencyUS int64  // microseconds from the first packet to the decision
	Model     string // "name@version" of the bundle
	Reason    string // what triggered the decision
	Services  string // protocols that fit Label, as in wire.Label
	// Agrees says whether the protocol that the IDS has detected is one of
	// Services. The line has it if it is known.
	Agrees Agreement

	// Compute is how long the deciding stage took, feature extraction included. It
	// differs from run to run and is not part of the line.
	Compute time.Duration
}

// Append appends the record as one line of JSON, newline included:
//
//	ts            number  epoch seconds of the flow's first packet, 6 decimals
//	sensor        string
//	flow          number or string, as the IDS names it
//	community_id  string  version 1, seed 0
//	proto         string  tcp, udp, icmp, ipv6-icmp, sctp, else the number
//	src, sport    string, number  the originator; of ICMP, sport is the type
//	dst, dport    string, number  the responder; of ICMP, dport is the code
//	label, score, margin, stage, packets, latency_us, model, reason
//	agrees        bool    whether the IDS's own name for the protocol goes together with label
//
// Where no address or no protocol is known, what needs it is left out;
// so is agrees where either is not known.
func (r *Record) Append(dst []byte) []byte {
	dst = append(dst, `{"ts":`...)
	dst = AppendSeconds(dst, r.Start)
	dst = append(dst, `,"sensor":`...)
	dst = appendString(dst, r.Sensor)
	dst = append(dst, `,"flow":`...)
	if r.Flow.IsString() {
		// The id is printable ASCII, which includes quotes and backslashes.
		var text [wire.MaxFlowID]byte
		dst = appendString(dst, r.Flow.Append(text[:0]))
	} else {
		dst = r.Flow.Append(dst)
	}
	dst = appendTuple(dst, &r.Tuple)
	dst = append(dst, `,"label":`...)
	dst = appendString(dst, r.Label)
	dst = append(dst, `,"score":`...)
	dst = AppendFloat(dst, r.Score)
	dst = append(dst, `,"margin":`...)
	dst = AppendFloat(dst, r.Margin)
	dst = append(dst, `,"stage":`...)
	dst = appendString(dst, r.Stage)
	dst = append(dst, `,"packets":`...)
	dst = strconv.AppendInt(dst, int64(r.Packets), 10)
	dst = append(dst, `,"latency_us":`...)
	dst = strconv.AppendInt(dst, r.LatencyUS, 10)
	dst = append(dst, `,"model":`...)
	dst = appendString(dst, r.Model)
	dst = append(dst, `,"reason":`...)
	dst = appendString(dst, r.Reason)
	dst = r.Agrees.append(dst)
	return append(dst, "}\n"...)
}

func appendTuple(dst []byte, t *packet.Tuple) []byte {
	if t.Version != 0 && t.Proto != 0 {
		dst = append(dst, `,"community_id":"`...)
		dst = communityid.Append(dst, *t) // base64 needs no escape
		dst = append(dst, '"')
	}
	if t.Proto != 0 {
		dst = append(dst, `,"proto":"`...)
		dst = appendProto(dst, t.Proto)
		dst = append(dst, '"')
	}
	if t.Version != 0 {
		dst = append(dst, `,"src":"`...)
		dst = appendAddr(dst, t.Version, &t.Src)
		dst = append(dst, `","sport":`...)
		dst = strconv.AppendUint(dst, uint64(t.SrcPort), 10)
		dst = append(dst, `,"dst":"`...)
		dst = appendAddr(dst, t.Version, &t.Dst)
		dst = append(dst, `","dport":`...)
		dst = strconv.AppendUint(dst, uint64(t.DstPort), 10)
	}
	return dst
}

// appendAddr writes an address as netip.Addr does.
func appendAddr(dst []byte, version uint8, a *[16]byte) []byte {
	if version == 6 {
		return netip.AddrFrom16(*a).AppendTo(dst)
	}
	for i, b := range a[:4] {
		if i > 0 {
			dst = append(dst, '.')
		}
		text := &decimals[b]
		dst = append(dst, text.digits[:]...)
		dst = dst[:len(dst)-len(text.digits)+int(text.n)]
	}
	return dst
}

// decimals has every byte as text.
var decimals = func() (t [256]struct {
	digits [3]byte
	n      uint8
}) {
	for b := range t {
		t[b].n = uint8(len(strconv.AppendUint(t[b].digits[:0], uint64(b), 10)))
	}
	return t
}()

func appendProto(dst []byte, proto uint8) []byte {
	switch proto {
	case packet.TCP:
		return append(dst, "tcp"...)
	case packet.UDP:
		return append(dst, "udp"...)
	case packet.ICMP:
		return append(dst, "icmp"...)
	case packet.ICMPv6:
		return append(dst, "ipv6-icmp"...)
	case packet.SCTP:
		return append(dst, "sctp"...)
	}
	return strconv.AppendUint(dst, uint64(proto), 10)
}

// AppendSeconds appends microseconds as seconds with 6 decimals, as Zeek writes
// times and intervals.
func AppendSeconds(dst []byte, us int64) []byte {
	u := uint64(us)
	if us < 0 {
		dst = append(dst, '-')
		u = -u
	}
	dst = strconv.AppendUint(dst, u/1e6, 10)
	dst = append(dst, ".000000"...)
	for rest, at := uint32(u%1e6), len(dst)-1; rest > 0; rest, at = rest/10, at-1 {
		dst[at] = byte('0' + rest%10)
	}
	return dst
}

// appendString writes s as a JSON string (RFC 8259). Control characters are
// escaped; what is not UTF-8 becomes U+FFFD.
func appendString[T string | []byte](dst []byte, s T) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0 // unescaped runs are copied whole
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		size := 1
		switch {
		case c == '"' || c == '\\':
			dst = append(append(dst, s[from:i]...), '\\', c)
		case c < ' ' || c == 0x7f:
			dst = append(append(dst, s[from:i]...), '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			var r rune
			r, size = utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
			if r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
			dst = append(append(dst, s[from:i]...), "\uFFFD"...)
		}
		i += size
		from = i
	}
	return append(append(dst, s[from:]...), '"')
}

// plain says which bytes stand for themselves in a JSON string.
var plain = func() (t [256]bool) {
	for c := ' '; c < 0x7f; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// ProtoName is the name of an IP protocol in a line.
func ProtoName(proto uint8) string { return string(appendProto(nil, proto)) }
