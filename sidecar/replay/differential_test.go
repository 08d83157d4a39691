package replay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/pcapgo"
)

// reference reads captures with gopacket, another implementation.
type reference interface {
	ReadPacketData() ([]byte, gopacket.CaptureInfo, error)
}

func newReference(b []byte) (reference, error) {
	if len(b) >= 4 && binary.LittleEndian.Uint32(b) == blockSection {
		o := pcapgo.DefaultNgReaderOptions
		o.WantMixedLinkType = true
		return pcapgo.NewNgReader(bytes.NewReader(b), o)
	}
	return pcapgo.NewReader(bytes.NewReader(b))
}

// compare reads b twice and compares packet by packet, as far as both read it. It
// returns the number of packets compared, and false if one of the two ended with an
// error: each refuses some damage that the other tolerates.
func compare(t *testing.T, b []byte) (n int, whole bool) {
	want, err := newReference(b)
	if err != nil {
		return 0, false
	}
	s, err := NewSource(bytes.NewReader(b), "compared")
	if err != nil {
		return 0, false
	}
	defer s.Close()
	var rec Record
	for ; ; n++ {
		ours := s.Next(&rec)
		data, info, theirs := want.ReadPacketData()
		if ours != nil || theirs != nil {
			if ours == io.EOF && theirs == nil || ours == nil && theirs == io.EOF {
				t.Fatalf("after packet %d: %v, gopacket: %v", n, ours, theirs)
			}
			return n, ours == io.EOF && theirs == io.EOF
		}
		if !bytes.Equal(rec.Frame, data) {
			t.Fatalf("packet %d: % x, gopacket: % x", n, rec.Frame, data)
		}
		if want := max(min(info.Length, 1<<24), len(data)); rec.WireLen != want {
			t.Fatalf("packet %d: %d bytes on the wire, gopacket: %d", n, rec.WireLen, want)
		}
		// gopacket keeps nanoseconds, which overflow in hostile captures, those of a
		// second at 2^32.
		us := info.Timestamp.UnixMicro()
		if over := (rec.Time - us) * 1000 % (1 << 32); us >= 0 && us < 1<<50 && rec.Time < 1<<50 && us != rec.Time &&
			(rec.Time < us || over >= 1000 && over <= 1<<32-1000) {
			t.Fatalf("packet %d: time %d, gopacket: %d", n, rec.Time, us)
		}
	}
}

// The committed captures read the same as with gopacket, to their end.
func TestCapturesAsGopacket(t *testing.T) {
	compared := 0
	for _, path := range captures(t) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Open(path)
		if errors.As(err, new(*OpenError)) {
			continue // refused on purpose
		}
		s.Close()
		n, whole := compare(t, b)
		if whole {
			compared += n
		} else {
			t.Logf("%s: %d packets compared", filepath.Base(path), n)
		}
	}
	if compared < 500 {
		t.Errorf("only %d packets were compared", compared)
	}
}

// FuzzAsGopacket compares arbitrary captures, as far as both read them.
func FuzzAsGopacket(f *testing.F) {
	f.Add(pcapFile(f, binary.LittleEndian, false))
	f.Add(pcapFile(f, binary.BigEndian, true))
	f.Add(pcapngFile(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		compare(t, b)
	})
}

func captures(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob("../../test/captures/*.pcap*")
	if err != nil || len(all) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	return all
}
