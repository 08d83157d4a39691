package feature

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"serveflow/sidecar/features/packet"
)

// bitsCase is one file of testdata/bits: a packet and the bits that somebody
// wrote down for it.
type bitsCase struct {
	dir    packet.Dir
	masks  Mask
	frame  []byte
	fields map[string]string // such as ipv4_ttl, or ipv4 as a whole: 0, 1, - and ...
}

func readBitsCase(t testing.TB, path string) bitsCase {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c := bitsCase{fields: map[string]string{}}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		rest := strings.Join(words[1:], "")
		switch words[0] {
		case "dir":
			if rest == "responder" {
				c.dir = packet.Responder
			}
		case "masks":
			if c.masks, err = ParseMasks(words[1:]); err != nil {
				t.Fatal(err)
			}
		case "frame":
			b, err := hex.DecodeString(rest)
			if err != nil {
				t.Fatal(err)
			}
			c.frame = append(c.frame, b...)
		default:
			c.fields[words[0]] += rest
		}
	}
	return c
}

// want returns the values of a field of n bits.
func (c bitsCase) want(t *testing.T, section, name string, n int) []float32 {
	t.Helper()
	text, ok := c.fields[section]
	if !ok {
		text, ok = c.fields[section+"_"+name]
	}
	if !ok {
		t.Fatalf("%s_%s is not listed", section, name)
	}
	if bits, more := strings.CutSuffix(text, "..."); more {
		text = bits + strings.Repeat("-", max(n-len(bits), 0))
	}
	if len(text) != n {
		t.Fatalf("%s_%s has %d bits in the table, want %d", section, name, len(text), n)
	}
	values := make([]float32, n)
	for i, bit := range text {
		values[i] = map[rune]float32{'0': 0, '1': 1, '-': Missing}[bit]
	}
	return values
}

func (c bitsCase) packet(t *testing.T) packet.Packet {
	t.Helper()
	var h packet.Headers
	if err := packet.Parse(&h, packet.RawIP, c.frame); err != nil {
		t.Fatal(err)
	}
	var p packet.Packet
	p.SetFrame(&h, c.frame, 0, c.dir)
	return p
}

func TestBits(t *testing.T) {
	paths, err := filepath.Glob("testdata/bits/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal("no cases", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			c := readBitsCase(t, path)
			for sec := range headers {
				for _, f := range headerFields[sec] {
					prefix := sectionNames[sec] + "_" + f.name
					columns := make([]string, f.bits)
					for i := range columns {
						columns[i] = "p1_" + prefix + "_" + strconv.Itoa(i)
					}
					want := c.want(t, sectionNames[sec], f.name, f.bits)
					got := encode(t, columns, c.masks, []packet.Packet{c.packet(t)})
					for i := range want {
						if got[i] != want[i] {
							t.Errorf("%s is %v, want %v", columns[i], got[i], want[i])
						}
					}
				}
			}
		})
	}
}

// encode compiles and encodes.
func encode(tb testing.TB, columns []string, masks Mask, flow []packet.Packet) []float32 {
	tb.Helper()
	p, err := Compile(columns, masks)
	if err != nil {
		tb.Fatal(err)
	}
	row := make([]float32, p.Width())
	p.Encode(row, flow)
	return row
}
