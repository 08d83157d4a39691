package replay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"serveflow/sidecar/features/packet"
)

// Two packets at these times, the second cut to 20 of its 60 bytes.
var (
	time1 = time.Unix(1700000000, 123456000)
	time2 = time.Unix(1700000001, 654321000)
)

func pcapFile(t testing.TB, order binary.ByteOrder, nanos bool) []byte {
	t.Helper()
	magic, unit := uint32(magicMicros), int64(1000)
	if nanos {
		magic, unit = magicNanos, 1
	}
	var b bytes.Buffer
	put := func(v any) {
		if err := binary.Write(&b, order, v); err != nil {
			t.Fatal(err)
		}
	}
	put(magic)
	put([]uint16{2, 4})
	put([]uint32{0, 0, 65535, 1})
	for i, at := range []time.Time{time1, time2} {
		frame := []int{60, 20}[i]
		put([]uint32{uint32(at.Unix()), uint32(int64(at.Nanosecond()) / unit), uint32(frame), 60})
		b.Write(bytes.Repeat([]byte{byte(i + 1)}, frame))
	}
	return b.Bytes()
}

// block is a pcapng block in little-endian order.
func block(typ uint32, body ...byte) []byte {
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	size := uint32(12 + len(body))
	b := binary.LittleEndian.AppendUint32(nil, typ)
	b = binary.LittleEndian.AppendUint32(b, size)
	return binary.LittleEndian.AppendUint32(append(b, body...), size)
}

// pcapngFile has two interfaces, Ethernet in nanoseconds and raw IP in
// microseconds, blocks that are not read, and the packets of pcapFile, one from
// each interface.
func pcapngFile(t testing.TB) []byte {
	t.Helper()
	put := binary.LittleEndian.AppendUint32
	section := put(nil, byteOrderMagic)
	section = append(section, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255)
	b := block(blockSection, section...)
	b = append(b, block(blockInterface, 1, 0, 0, 0, 0, 0, 4, 0, // Ethernet, snap length 262144
		2, 0, 3, 0, 'o', 'n', 'e', 0, // name
		optionResolution, 0, 1, 0, 9, 0, 0, 0,
		0, 0, 0, 0)...)
	b = append(b, block(blockInterface, 101, 0, 0, 0, 0, 0, 4, 0)...)
	b = append(b, block(4, 0, 0, 0, 0)...) // name resolution
	for i, at := range []time.Time{time1, time2} {
		stamp := uint64(at.UnixNano())
		if i == 1 {
			stamp = uint64(at.UnixMicro())
		}
		frame := bytes.Repeat([]byte{byte(i + 1)}, []int{60, 20}[i])
		body := put(nil, uint32(i))
		body = put(put(body, uint32(stamp>>32)), uint32(stamp))
		body = put(put(body, uint32(len(frame))), 60)
		body = append(body, frame...)
		body = append(body, 2, 0, 4, 0, 1, 0, 0, 0, 0, 0, 0, 0) // flags
		b = append(b, block(blockEnhanced, body...)...)
	}
	return append(b, block(5, make([]byte, 12)...)...) // interface statistics
}

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zstandard(t testing.TB, b []byte) []byte {
	t.Helper()
	e, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return e.EncodeAll(b, nil)
}

func TestFormats(t *testing.T) {
	micro := pcapFile(t, binary.LittleEndian, false)
	for name, b := range map[string][]byte{
		"pcap":           micro,
		"big endian":     pcapFile(t, binary.BigEndian, false),
		"ns":             pcapFile(t, binary.LittleEndian, true),
		"ns, big endian": pcapFile(t, binary.BigEndian, true),
		"pcapng":         pcapngFile(t),
		"gzip":           gzipped(t, micro),
		"zstd":           zstandard(t, micro),
		"pcapng in zstd": zstandard(t, pcapngFile(t)),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "capture")
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var rec Record
			for i, at := range []time.Time{time1, time2} {
				if err := s.Next(&rec); err != nil {
					t.Fatal(err)
				}
				size := []int{60, 20}[i]
				if rec.Time != at.UnixMicro() || rec.WireLen != 60 || len(rec.Frame) != size || rec.Frame[size-1] != byte(i+1) {
					t.Errorf("packet %d: time %d, %d of %d bytes", i, rec.Time, len(rec.Frame), rec.WireLen)
				}
				link := packet.Ethernet
				if i == 1 && strings.HasPrefix(name, "pcapng") {
					link = packet.RawIP
				}
				if rec.Link != link {
					t.Errorf("packet %d: link %d", i, rec.Link)
				}
			}
			for range 2 {
				if err := s.Next(&rec); err != io.EOF {
					t.Errorf("at the end: %v", err)
				}
			}
		})
	}
}

// readAll counts the packets up to the error, which is nil at a clean end.
func readAll(b []byte) (int, error) {
	s, err := NewSource(bytes.NewReader(b), "x")
	if err != nil {
		return 0, err
	}
	defer s.Close()
	var rec Record
	for n := 0; ; n++ {
		if err := s.Next(&rec); err == io.EOF {
			return n, nil
		} else if err != nil {
			return n, err
		}
	}
}

// A capture may be cut anywhere: what is whole is read, and the error says so.
func TestCutCaptures(t *testing.T) {
	for name, b := range map[string][]byte{"pcap": pcapFile(t, binary.LittleEndian, false), "pcapng": pcapngFile(t)} {
		whole := 0
		for n := range len(b) {
			got, err := readAll(b[:n])
			if got < whole {
				t.Fatalf("%s cut to %d bytes: %d packets, but %d at a shorter length", name, n, got, whole)
			}
			whole = got
			if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("%s cut to %d bytes: %v", name, n, err)
			}
		}
		if got, err := readAll(b); got != 2 || err != nil {
			t.Errorf("%s: %d packets, %v", name, got, err)
		}
		packed := gzipped(t, b)
		if _, err := readAll(packed[:len(packed)-12]); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s in a cut gzip: %v", name, err)
		}
	}
}

func TestDamagedCaptures(t *testing.T) {
	good := pcapFile(t, binary.LittleEndian, false)
	ng := pcapngFile(t)
	enhanced := bytes.Index(ng, []byte{6, 0, 0, 0})
	damage := func(b []byte, off int, with ...byte) []byte {
		b = slices.Clone(b)
		copy(b[off:], with)
		return b
	}
	for _, c := range []struct {
		name, want string
		b          []byte
	}{
		{"empty", "capture x: the file is empty", nil},
		{"three bytes", "capture x: not a capture: only 3 bytes", []byte("abc")},
		{"text", "capture x: not a capture: it begins with 74 68 69 73", []byte("this is not a capture file")},
		{"version", "pcap version 9 is not supported", damage(good, 4, 9)},
		{"link type", "capture x: link type 147 is not supported", damage(good, 20, 147)},
		{"huge record", "packet 2, byte 100: a record of 2147483647 bytes", damage(good, 24+16+60+8, 0xff, 0xff, 0xff, 0x7f)},
		{"byte-order mark", "packet 1, byte 0: the section header has the byte-order mark", damage(ng, 8, 0)},
		{"section length", "the section header has the invalid length 8", damage(ng, 4, 8, 0, 0, 0)},
		{"block length", "has the invalid length 13", damage(ng, enhanced+4, 13)},
		{"short packet block", "a packet block of 4 bytes", damage(ng, enhanced+4, 16)},
		{"unknown interface", "a packet of interface 7, but only 2 interfaces are described", damage(ng, enhanced+8, 7)},
		{"frame longer than its block", "a packet of 1020 bytes in a block of", damage(ng, enhanced+20, 0xfc, 3)},
		{"gzip", "gzip: ", damage(gzipped(t, good), 3, 0xff)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := readAll(c.b); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// Simple packet blocks have no time and no length of their own; packet blocks
// are what enhanced ones came from.
func TestOtherPacketBlocks(t *testing.T) {
	ng := pcapngFile(t)
	described := ng[:bytes.Index(ng, []byte{6, 0, 0, 0})]
	old := block(blockPacket, 0, 0, 9, 9, 0, 0, 0, 0, 0, 0xca, 0x9a, 0x3b, // 1 s in ns, of interface 0
		4, 0, 0, 0, 60, 0, 0, 0, 'o', 'l', 'd', '!')
	simple := block(blockSimple, 5, 0, 0, 0, 's', 'h', 'o', 'r', 't')
	s, err := NewSource(bytes.NewReader(slices.Concat(described, old, simple)), "x")
	if err != nil {
		t.Fatal(err)
	}
	var rec Record
	for _, want := range []Record{
		{Time: second, Link: packet.Ethernet, Frame: []byte("old!"), WireLen: 60},
		{Time: second, Link: packet.Ethernet, Frame: []byte("short"), WireLen: 5},
	} {
		if err := s.Next(&rec); err != nil {
			t.Fatal(err)
		}
		if string(rec.Frame) != string(want.Frame) || rec.Time != want.Time || rec.Link != want.Link || rec.WireLen != want.WireLen {
			t.Errorf("got %+v, want %+v", rec, want)
		}
	}
	if _, err := readAll(slices.Concat(ng[:28], simple)); err == nil || !strings.Contains(err.Error(), "before any interface") {
		t.Errorf("without an interface: %v", err)
	}
}

// Packets of an interface that cannot be read, for its link type or its options, are
// counted, and those of the others are read.
func TestUnreadInterfaces(t *testing.T) {
	ng := pcapngFile(t)
	enhanced := bytes.Index(ng, []byte{6, 0, 0, 0})
	unread := slices.Concat(
		block(blockInterface, 147, 0, 0, 0, 0, 0, 4, 0),                                                   // a link type of its user
		block(blockInterface, 1, 0, 0, 0, 0, 0, 4, 0, optionResolution, 0, 1, 0, 99, 0, 0, 0, 0, 0, 0, 0), // 10^-99 s
	)
	for number := range byte(2) {
		unread = append(unread, block(blockEnhanced, slices.Concat([]byte{2 + number}, make([]byte, 11), []byte{4, 0, 0, 0, 4, 0, 0, 0, 1, 2, 3, 4})...)...)
	}
	s, err := NewSource(bytes.NewReader(slices.Concat(ng[:enhanced], unread, ng[enhanced:])), "x")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var rec Record
	for n, want := range []string{"link type 147 is not supported", "resolution 0x63 is too fine", "", ""} {
		if err := s.Next(&rec); err != nil {
			t.Fatal(err)
		}
		if (rec.Unread == nil) != (want == "") || rec.Unread != nil && !strings.Contains(rec.Unread.Error(), want) {
			t.Errorf("packet %d: %v, want %q", n, rec.Unread, want)
		}
	}
	if err := s.Next(&rec); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	f := NewFlows(&list{recs: []Record{{Unread: errors.New("unread")}}}, Options{})
	if err := f.Next(new(Event)); err != io.EOF || f.Counts() != (Counts{Packets: 1, Skipped: Skipped{Link: 1}}) {
		t.Errorf("%v, %+v", err, f.Counts())
	}
}

func TestTimeUnits(t *testing.T) {
	for _, c := range []struct {
		i    netInterface
		ts   uint64
		want int64
	}{
		{netInterface{digits: 6}, 1700000000123456, 1700000000123456},
		{netInterface{digits: 9}, 1700000000123456789, 1700000000123456},
		{netInterface{digits: 3}, 1700000000123, 1700000000123000},
		{netInterface{digits: 0}, 1700000000, 1700000000000000},
		{netInterface{digits: 6, offset: 3600}, 5, 3600000005},
		{netInterface{digits: 6, offset: -3600}, 5, 0},
		{netInterface{digits: 10, binary: true}, 5<<10 | 512, 5500000},
		{netInterface{digits: 63, binary: true}, 1<<63 | 1<<62, 1500000},
		{netInterface{digits: 0, binary: true}, 7, 7000000},
		{netInterface{digits: 0}, 1<<64 - 1, maxTime},
		{netInterface{digits: 0, binary: true}, 1<<64 - 1, maxTime - maxTime%second},
		{netInterface{digits: 6, offset: 1<<63 - 1}, 1<<64 - 1, maxTime},
		{netInterface{digits: 6, offset: -1 << 63}, 0, 0},
	} {
		if got := c.i.micros(c.ts); got != c.want {
			t.Errorf("%+v: %d is %d µs, want %d", c.i, c.ts, got, c.want)
		}
	}
}
