package decompress

import (
	"bytes"
	"compress/gzip"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// What is packed may come in pieces and be padded with zeros; other bytes after it,
// and an end that comes too early, are errors, and what was read before comes with them.
func TestPadding(t *testing.T) {
	packed := map[string]func(string) []byte{
		"gzip": func(s string) []byte {
			var b bytes.Buffer
			w := gzip.NewWriter(&b)
			io.WriteString(w, s)
			w.Close()
			return b.Bytes()
		},
		"zstd": func(s string) []byte {
			w, err := zstd.NewWriter(nil)
			if err != nil {
				t.Fatal(err)
			}
			return w.EncodeAll([]byte(s), nil)
		},
	}
	for format, pack := range packed {
		one, two := pack("one"), pack("two")
		for name, c := range map[string]struct {
			in   []byte
			want string
			ok   bool
		}{
			"two pieces":       {slices.Concat(one, two), "onetwo", true},
			"a block of zeros": {slices.Concat(one, two, make([]byte, 512)), "onetwo", true},
			"many zeros":       {slices.Concat(one, make([]byte, 1<<20)), "one", true},
			"garbage":          {slices.Concat(one, []byte("garbage")), "one", false},
			"zeros, garbage":   {slices.Concat(one, make([]byte, 512), []byte("garbage")), "one", false},
			"cut":              {two[:len(two)-2], "", false},
		} {
			plain, err := New(bytes.NewReader(c.in))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(plain)
			plain.Close()
			if !strings.HasPrefix(string(got), c.want) || c.ok && string(got) != c.want || (err == nil) != c.ok {
				t.Errorf("%s, %s: %q, %v", format, name, got, err)
			}
		}
	}
}
