package jsonl

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// Lines of every length around the buffer's come out as they went in, however
// the input is cut.
func TestReader(t *testing.T) {
	var in bytes.Buffer
	var want []string
	for _, n := range []int{0, 1, 17, 256<<10 - 1, 256 << 10, 256<<10 + 1, 3 << 20, 5, MaxLine - 1, 7} {
		line := strings.Repeat("x", n) + "\n"
		in.WriteString(line)
		want = append(want, line)
	}
	in.WriteString("no end")
	want = append(want, "no end")
	for name, r := range map[string]io.Reader{
		"whole": bytes.NewReader(in.Bytes()), "halves": iotest.HalfReader(bytes.NewReader(in.Bytes())),
	} {
		lines := NewReader(r)
		for i := range want {
			if got, err := lines.Next(); err != nil || string(got) != want[i] {
				t.Fatalf("%s: line %d: %d bytes, %v; want %d", name, i, len(got), err, len(want[i]))
			}
		}
		if _, err := lines.Next(); err != io.EOF {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A line that is too long is copied, and reading goes on after it; what was
// read before an error comes with it.
func TestReaderTrouble(t *testing.T) {
	trouble := errors.New("trouble")
	long := strings.Repeat("x", MaxLine+1<<20) + "\n"
	lines := NewReader(io.MultiReader(strings.NewReader(long+"next\nhalf"), iotest.ErrReader(trouble)))
	if _, err := lines.Next(); err != ErrLong {
		t.Fatal(err)
	}
	var copied bytes.Buffer
	if err := lines.CopyLine(&copied); err != nil || copied.String() != long {
		t.Errorf("%d bytes, %v", copied.Len(), err)
	}
	if line, err := lines.Next(); err != nil || string(line) != "next\n" {
		t.Errorf("%q, %v", line, err)
	}
	if line, err := lines.Next(); err != trouble || string(line) != "half" {
		t.Errorf("%q, %v", line, err)
	}
}

func TestCutEnd(t *testing.T) {
	for line, want := range map[string]string{"": "", "a": "a", "a\n": "a", "a\r\n": "a", "a\r": "a\r", "\n": "", "\r\n": ""} {
		if body, end := CutEnd([]byte(line)); string(body) != want || string(body)+string(end) != line {
			t.Errorf("%q: %q, %q", line, body, end)
		}
	}
}

func TestMicros(t *testing.T) {
	for value, want := range map[string]int64{
		`"2023-11-14T22:13:25.000042+0000"`: 1_700_000_005_000_042,
		`"2023-11-14T23:13:20.5+0100"`:      1_700_000_000_500_000,
		`"2023-11-14T22:13:20.25Z"`:         1_700_000_000_250_000,
		`1700000000.000042`:                 1_700_000_000_000_042,
		`1700000000000.5`:                   1_700_000_000_000_500,
		`-1.5`:                              -1_500_000,
	} {
		if got, ok := Micros([]byte(value)); !ok || got != want {
			t.Errorf("%s: %d, %v; want %d", value, got, ok, want)
		}
	}
	for _, value := range []string{`""`, `"yesterday"`, `1.x`, `1e99`, `null`, `{}`} {
		if got, ok := Micros([]byte(value)); ok {
			t.Errorf("%s: %d", value, got)
		}
	}
}

func TestWithout(t *testing.T) {
	drop := func(key, value []byte) bool { return string(key) == "x" || IsNull(value) }
	for in, want := range map[string]string{
		`{}`:                                 `{}`,
		` { } `:                              ` { } `,
		`{"a":1,"b":[2,{"x":3}]}`:            `{"a":1,"b":[2,{"x":3}]}`,
		`{"x":1}`:                            `{}`,
		`{"x":1,"a":"}"}`:                    `{"a":"}"}`,
		`{"a":1 , "x" : {"y":2} , "b":3}`:    `{"a":1 , "b":3}`,
		"{\"a\":null,\t\"b\":1,\"c\":null} ": "{\t\"b\":1} ",
	} {
		if got := string(Without(nil, []byte(in), drop)); got != want {
			t.Errorf("%s becomes %s, want %s", in, got, want)
		}
	}
}
