package wire

import (
	"encoding/binary"
	"errors"
	"hash/maphash"
	"math/bits"
	"strconv"
)

// FlowID is the IDS's own name of a flow: a number (Suricata's flow_id) or a
// short text (Zeek's uid). It holds no pointers and can be compared and used
// as a map key; the number 5 and the text "5" are different ids. The zero
// value is the number 0.
type FlowID struct {
	b [MaxFlowID]byte // the text, or the number in the first 8 bytes
	n uint8           // length of the text; 0: a number
}

// ErrFlowID reports that a text cannot name a flow.
var ErrFlowID = errors.New("a flow id is 1 to 32 bytes of printable ASCII")

// UintID returns the id that is the number u.
func UintID(u uint64) FlowID {
	var f FlowID
	binary.LittleEndian.PutUint64(f.b[:], u)
	return f
}

// StringID returns the id that is the text s, or ErrFlowID.
func StringID(s string) (FlowID, error) {
	var f FlowID
	if len(s) > MaxFlowID {
		return f, ErrFlowID
	}
	copy(f.b[:], s)
	f.n = uint8(len(s))
	if !f.printable() {
		return FlowID{}, ErrFlowID
	}
	return f, nil
}

// printable reports whether the id is a text of printable ASCII without spaces, so
// that it survives logs that are split at white space.
func (f *FlowID) printable() bool {
	for _, c := range f.b[:f.n] {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return f.n > 0
}

// IsString reports whether the id is a text.
func (f FlowID) IsString() bool { return f.n > 0 }

// Uint returns the number, 0 if the id is a text.
func (f FlowID) Uint() uint64 {
	if f.n > 0 {
		return 0
	}
	return binary.LittleEndian.Uint64(f.b[:])
}

// Append appends the id's text, or its number in decimal, to dst.
func (f FlowID) Append(dst []byte) []byte {
	if f.n > 0 {
		return append(dst, f.b[:f.n]...)
	}
	return strconv.AppendUint(dst, f.Uint(), 10)
}

// String returns the id's text, or its number in decimal.
func (f FlowID) String() string { return string(f.Append(nil)) }

// Hash returns a well distributed 64-bit hash of the id, the same in every process,
// which assigns flows to shards. It does not resist ids that are chosen to collide;
// SeededHash does.
func (f FlowID) Hash() uint64 {
	// Multiply and fold, as wyhash does. The constants are odd and random.
	const k0, k1, k2 = 0x9e3779b97f4a7c15, 0xd6e8feb86659fd93, 0xa0761d6478bd642f
	h := fold(binary.LittleEndian.Uint64(f.b[0:])^k0, uint64(f.n)^k1)
	if f.n > 8 {
		h = fold(binary.LittleEndian.Uint64(f.b[8:])^k1, binary.LittleEndian.Uint64(f.b[16:])^h)
		h = fold(binary.LittleEndian.Uint64(f.b[24:])^k2, h)
	}
	return fold(h^k0, k2)
}

// SeededHash returns a hash of the id that nobody can predict without the seed.
func (f *FlowID) SeededHash(seed maphash.Seed) uint64 {
	return maphash.Bytes(seed, f.b[:max(f.n, 8)]) ^ uint64(f.n)
}

func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}
