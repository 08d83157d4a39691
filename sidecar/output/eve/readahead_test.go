package eve

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
)

// pieces gives what it holds in reads of random length.
type pieces struct {
	b []byte
	r *rand.Rand
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.b) == 0 {
		return 0, errors.New("broken")
	}
	n := copy(b[:min(len(b), 1+p.r.IntN(300_000))], p.b)
	p.b = p.b[n:]
	return n, nil
}

// TestEager: what comes out is what went in, also round the ring's end, and then
// the error.
func TestEager(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	want := make([]byte, 5*readAheadBytes+12345)
	for i := range want {
		want[i] = byte(rng.Uint32())
	}
	e := newReadAhead(&pieces{want, rng}, nil)
	var got []byte
	b := make([]byte, 200_000)
	for {
		n, err := e.Read(b[:1+rand.IntN(len(b))])
		got = append(got, b[:n]...)
		if err != nil {
			if err.Error() != "broken" {
				t.Error(err)
			}
			break
		}
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes came out, not the %d that went in", len(got), len(want))
	}
	if all, err := io.ReadAll(newReadAhead(iotest.DataErrReader(bytes.NewReader(want)), nil)); err != nil || !bytes.Equal(all, want) {
		t.Errorf("%d bytes, %v", len(all), err)
	}
}

// TestEagerTakesBeforeItIsAsked: a writer is rid of what fits.
func TestEagerTakesBeforeItIsAsked(t *testing.T) {
	r, w := io.Pipe()
	e := newReadAhead(r, nil)
	for range readAheadBytes / 1024 {
		if _, err := w.Write(make([]byte, 1024)); err != nil { // waits until it is read
			t.Fatal(err)
		}
	}
	w.Close()
	if all, err := io.ReadAll(e); len(all) != readAheadBytes || err != nil {
		t.Errorf("%d bytes, %v", len(all), err)
	}
}
