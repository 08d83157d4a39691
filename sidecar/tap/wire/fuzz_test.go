package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"
)

// addSeeds adds every kind of message, all of them in one stream, which it returns,
// and what is malformed.
func addSeeds(f *testing.F) (stream []byte) {
	for _, m := range samples(f) {
		b := encoded(f, m)
		f.Add(b)
		stream = append(stream, b...)
	}
	f.Add(stream)
	f.Add(metaText(f))
	for _, test := range malformed {
		f.Add(unhex(f, test.hex))
	}
	return stream
}

// FuzzDecode feeds a connection's bytes to a Decoder: whatever they are, it
// must end in EOF or in an error, hold no more than a message's memory, and
// what it decoded must survive being encoded and decoded again.
func FuzzDecode(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		d := NewDecoder(bytes.NewReader(data))
		var out bytes.Buffer
		e := NewEncoder(&out)
		var m, again Message
		for {
			err := d.Next(&m)
			var bad *MalformedError
			if errors.As(err, &bad) || errors.Is(err, io.ErrUnexpectedEOF) {
				return
			}
			if err == io.EOF {
				if d.Offset() != int64(len(data)) || d.Buffered() != 0 {
					t.Fatalf("EOF at byte %d of %d", d.Offset(), len(data))
				}
				return
			}
			if err != nil {
				t.Fatalf("an error of nobody's: %v", err)
			}
			if cap(m.buf) > max(MaxRaw, MaxPayload) {
				t.Fatalf("%v holds %d bytes", m.Kind, cap(m.buf))
			}
			out.Reset()
			if err := encode(e, &m); err != nil {
				t.Fatalf("%+v: %v", m, err)
			}
			if err := NewDecoder(&out).Next(&again); err != nil {
				t.Fatalf("%+v: %v", m, err)
			}
			if !same(&m, &again) {
				t.Fatalf("got  %+v\nwant %+v", again, m)
			}
		}
	})
}

// FuzzPieces reads the same bytes at once and one by one: numbers that lie
// whole in the buffer are read by other code than those that do not.
func FuzzPieces(f *testing.F) {
	stream := addSeeds(f)
	for _, test := range malformed {
		f.Add(append(unhex(f, test.hex), stream...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		whole, pieces := NewDecoder(bytes.NewReader(data)), NewDecoder(iotest.OneByteReader(bytes.NewReader(data)))
		var m, want Message
		for {
			err, wantErr := whole.Next(&m), pieces.Next(&want)
			if fmt.Sprint(err) != fmt.Sprint(wantErr) || whole.Offset() != pieces.Offset() || whole.Unknown() != pieces.Unknown() {
				t.Fatalf("at once: %v at %d; in pieces: %v at %d", err, whole.Offset(), wantErr, pieces.Offset())
			}
			if err != nil {
				return
			}
			if !same(&m, &want) {
				t.Fatalf("at once:   %+v\nin pieces: %+v", m, want)
			}
		}
	})
}
