package feature

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"serveflow/sidecar/features/packet"
)

// fullSpec is the whole catalogue.
func fullSpec(packets int) Spec { return Spec{Packets: packets, Sections: sectionNames[:]} }

var wholePlans = map[Mask]*Plan{}

// wholePlan returns the whole catalogue of 12 packets and its plan, kept for
// fuzzing, which would else spend its time in Compile.
func wholePlan(tb testing.TB, masks Mask) ([]string, *Plan) {
	tb.Helper()
	columns := wholeColumns()
	if wholePlans[masks] == nil {
		p, err := Compile(columns, masks)
		if err != nil {
			tb.Fatal(err)
		}
		wholePlans[masks] = p
	}
	return columns, wholePlans[masks]
}

var wholeColumns = sync.OnceValue(func() []string { return fullSpec(12).Columns() })

// randomFlow builds packets out of random bytes: whatever Parse accepts, and
// beside that what no parser made.
func randomFlow(data []byte) []packet.Packet {
	var flow []packet.Packet
	next := func(n int) []byte {
		chunk := make([]byte, n)
		data = data[copy(chunk, data):]
		return chunk
	}
	for len(data) > 0 && len(flow) < 12 {
		ctl := next(4)
		frame := next(int(ctl[1]))
		ts, dir := int64(binary.BigEndian.Uint16(ctl[2:]))<<(ctl[0]>>3), packet.Dir(ctl[0]%4)
		var h packet.Headers
		var p packet.Packet
		if packet.Parse(&h, packet.RawIP, frame) == nil {
			p.SetFrame(&h, frame, ts, dir)
			p.SetPayload(h.PayloadOf(frame))
		} else {
			p.SetMeta(packet.Tuple{Proto: ctl[1], SrcPort: uint16(ctl[2]), DstPort: 53}, ts, dir, int32(ctl[3])-1)
		}
		flow = append(flow, p)
	}
	return flow
}

// shapeHighest are the highest values of the shapes' columns, in their order.
var shapeHighest = []float32{
	255, 1, 65535, 64, 255, 255, 255, 255, 255, 255, 255, 255, 1<<24 - 1,
	8, 1, 64, 64, 1, 1, 6, 7, 7, 8, 8, 65535, 255, 32, 255, 255, 254, 254, 255, 255,
	1, 255, 255, 63, 52, 1, 1, 1, 1, 65535,
}

// inRange checks a value against the range that the package comment gives.
func inRange(name string, v float32) bool {
	whole := float64(v) == math.Trunc(float64(v))
	c, _ := lookup(name)
	switch c.scope {
	case ofHeader:
		return v == 0 || v == 1 || v == Missing
	case ofShape:
		return v == Missing || v >= 0 && v <= shapeHighest[c.index]
	case ofFlow:
		return whole && (v == Missing || v >= []float32{1, 1, 0}[c.index] && v <= []float32{255, 65535, 255}[c.index])
	case ofFirst:
		k := float32(c.packet)
		if c.index == firstDuration {
			return v >= 0 && v <= 64
		}
		high := []float32{k, k, k * 65535, k * 65535}[c.index]
		return whole && v <= high && (v >= 0 || v == Missing && high > k)
	}
	switch c.index {
	case seqPayload:
		return whole && v >= MissingSigned && v <= 65535
	case seqGap:
		return v == Missing || v >= 0 && v <= 64
	}
	return whole && v >= Missing && v <= []float32{seqDir: 1, seqLen: 65535, seqFlags: 511, seqWindow: 65535}[c.index]
}

// checkSubset encodes a subset of the catalogue and compares with the same
// columns of the whole, and with the ranges.
func checkSubset(t *testing.T, seed uint64, masks Mask, flow []packet.Packet) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 1))
	all, plan := wholePlan(t, masks)
	whole := make([]float32, plan.Width())
	plan.Encode(whole, flow)
	var picked []string
	var at []int
	for range rnd.IntN(300) {
		// Neighbours are likely, so that whole bytes occur.
		for i, end := rnd.IntN(len(all)), rnd.IntN(20); i < len(all) && end > 0; i, end = i+1, end-1 {
			picked, at = append(picked, all[i]), append(at, i)
		}
	}
	plan, err := Compile(picked, masks)
	if err != nil {
		t.Fatal(err)
	}
	row := make([]float32, plan.Width()+1)
	row[plan.Width()] = 42
	if len(plan.shapes) == 0 { // these speak of all packets
		flow = flow[:min(len(flow), plan.Packets())]
	}
	plan.Encode(row, flow)
	for i := range at {
		if !inRange(picked[i], row[i]) {
			t.Fatalf("%s is %v, which its range forbids", picked[i], row[i])
		}
		if row[i] != whole[at[i]] || math.Signbit(float64(row[i])) != math.Signbit(float64(whole[at[i]])) {
			t.Fatalf("%s is %v by itself and %v in the whole", picked[i], row[i], whole[at[i]])
		}
	}
	if row[plan.Width()] != 42 {
		t.Fatal("Encode wrote beyond the row")
	}
}

func TestSubset(t *testing.T) {
	flow := benchmarkFlow(t)
	for seed := range uint64(50) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		data := make([]byte, rnd.IntN(2000))
		for i := range data {
			data[i] = byte(rnd.Uint32())
			if i%8 == 4 {
				data[i] = 0x45
			}
		}
		checkSubset(t, seed, Mask(seed)&MaskAll, randomFlow(data))
		checkSubset(t, seed, Mask(seed)&MaskAll, flow)
	}
}

// Masked columns must not depend on what they mask: change the masked fields
// and nothing changes in the row.
func TestMaskedFieldsDoNotShow(t *testing.T) {
	columns := fullSpec(3).Columns()
	flow := benchmarkFlow(t)[:3]
	before := encode(t, columns, MaskAll, flow)
	for i := range flow {
		h := &flow[i].Header
		copy(h[4:6], "id")
		copy(h[10:20], "ck"+"addr"+"addr")
		copy(h[24:32], "seqnackn")
		copy(h[36:38], "ck")
		// The originator's port, and the timestamps after two no-operations.
		if flow[i].Dir == packet.Originator {
			flow[i].SrcPort, h[20], h[21] = 61000, 61000>>8, 61000&255
		} else {
			flow[i].DstPort, h[22], h[23] = 61000, 61000>>8, 61000&255
		}
		copy(h[44:52], "tsvaltse")
	}
	after := encode(t, columns, MaskAll, flow)
	for i, name := range columns {
		if before[i] != after[i] {
			t.Errorf("%s changed from %v to %v", name, before[i], after[i])
		}
	}
}

func FuzzEncode(f *testing.F) {
	paths, err := filepath.Glob("testdata/bits/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	for i, path := range paths {
		frame := readBitsCase(f, path).frame
		one := append([]byte{byte(i), byte(len(frame)), 0, 9}, frame...)
		f.Add(uint64(i), uint(i), append(one, one...))
	}
	f.Add(uint64(9), uint(MaskAll), []byte(strings.Repeat("\x02\x00\x01\x05", 11)))
	f.Fuzz(func(t *testing.T, seed uint64, masks uint, data []byte) {
		checkSubset(t, seed, Mask(masks)&MaskAll, randomFlow(data))
	})
}

// benchmarkFlow is a TLS-like flow of ten packets with TCP timestamps.
func benchmarkFlow(tb testing.TB) []packet.Packet {
	tb.Helper()
	frame := make([]byte, 52)
	copy(frame, "\x45\x00\x00\x00\x12\x34\x40\x00\x40\x06\x00\x00\x0a\x00\x00\x01\xc0\x00\x02\x07")
	copy(frame[32:], "\x80\x18\x01\xf5\x00\x00\x00\x00\x01\x01\x08\x0a")
	var flow []packet.Packet
	for i := range 10 {
		binary.BigEndian.PutUint16(frame[2:], uint16(52+100*i))
		binary.BigEndian.PutUint32(frame[24:], uint32(i*1000))
		binary.BigEndian.PutUint32(frame[44:], uint32(i*77))
		src, dst := uint16(50000), uint16(443)
		if i%2 == 1 {
			src, dst = dst, src
		}
		binary.BigEndian.PutUint16(frame[20:], src)
		binary.BigEndian.PutUint16(frame[22:], dst)
		var h packet.Headers
		if err := packet.Parse(&h, packet.RawIP, frame); err != nil {
			tb.Fatal(err)
		}
		var p packet.Packet
		p.SetFrame(&h, frame, int64(i*i*1000), packet.Dir(i%2))
		flow = append(flow, p)
	}
	return flow
}

func BenchmarkEncode(b *testing.B) {
	nprint := Spec{Packets: 10, Sections: []string{"ipv4", "tcp", "udp"}}
	masked := nprint
	masked.Masks = MaskAll
	one := masked
	one.Packets = 1
	seq := Spec{Packets: 10, Sections: []string{"seq"}}
	// What a boosted model may use: bits here and there, and sizes.
	rnd := rand.New(rand.NewPCG(1, 1))
	bits := masked.Columns()
	var typical []string
	for range 150 {
		typical = append(typical, bits[rnd.IntN(len(bits))])
	}
	typical = append(typical, seq.Columns()[:50]...)

	flow := benchmarkFlow(b)
	for _, c := range []struct {
		name    string
		columns []string
		masks   Mask
	}{
		{"nprint of 10 packets", nprint.Columns(), 0},
		{"masked nprint of 10 packets", masked.Columns(), MaskAll},
		{"masked nprint of 1 packet", one.Columns(), MaskAll},
		{"seq of 10 packets", seq.Columns(), MaskAll},
		{"200 columns", typical, MaskAll},
	} {
		b.Run(c.name, func(b *testing.B) {
			p, err := Compile(c.columns, c.masks)
			if err != nil {
				b.Fatal(err)
			}
			row := make([]float32, p.Width())
			b.ReportAllocs()
			for b.Loop() {
				p.Encode(row, flow)
			}
			b.ReportMetric(float64(p.Width()), "columns")
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	columns := Spec{Packets: 10, Sections: sectionNames[:], Masks: MaskAll}.Columns()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compile(columns, MaskAll); err != nil {
			b.Fatal(err)
		}
	}
}
