package jsonl

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func seeds(f *testing.F) {
	paths, err := filepath.Glob("../enrich/testdata/*.log")
	if err != nil || len(paths) == 0 {
		f.Fatal(err, paths)
	}
	for _, path := range paths {
		log, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for line := range bytes.Lines(log) {
			f.Add(bytes.TrimSuffix(line, []byte("\n")))
		}
	}
}

// FuzzValid: what is valid is what encoding/json takes.
func FuzzValid(f *testing.F) {
	seeds(f)
	for _, s := range odd {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, want := Valid(b), json.Valid(b); got != want {
			t.Fatalf("%q: %v, want %v", b, got, want)
		}
	})
}

// odd are values at the borders of the grammar.
var odd = []string{
	``, ` `, `{}`, `[]`, `{ }`, `[ ]`, ` [1 , 2 ] `, `{"a":1,}`, `{,}`, `[,]`, `[1,]`, `{"a"}`, `{"a":}`, `{a:1}`, `{"a" : 1 , "a" : 2}`,
	`0`, `-0`, `00`, `01`, `-`, `-a`, `1.`, `.1`, `1.5`, `1e`, `1e+`, `1e+5`, `1E-05`, `1.e5`, `+1`, `1 2`, `0x1`, `1a`,
	`true`, `false`, `null`, `tru`, `trues`, `nul`, `True`, `[true,false,null]`,
	`""`, `"`, `"a`, `"\"`, `"\"`, `"\`, `"\x"`, `"\u12"`, `"\u12aF"`, `"\u12ag"`, "\"\n\"", "\"\x7f\xff\"", "\"\x00\"", `"\/\b\f\n\r\t\""`,
	`}`, `]`, `{]`, `[}`, `{"a":[}`, `[[]]`, `[[]`, "\v1", "\ufeff1", `{"a":1}{"b":2}`,
}

// The small checker agrees with the large one, at any depth.
func TestValid(t *testing.T) {
	all := odd
	for _, n := range []int{maxDepth - 1, maxDepth, maxDepth + 1} {
		all = append(all, strings.Repeat("[", n)+strings.Repeat("]", n),
			strings.Repeat(`{"a":`, n)+"1"+strings.Repeat("}", n))
	}
	for _, s := range all {
		if got, want := Valid([]byte(s)), json.Valid([]byte(s)); got != want {
			t.Errorf("%.40q: %v, want %v", s, got, want)
		}
		for i := range min(len(s), 40) { // cut
			if got, want := Valid([]byte(s[:i])), json.Valid([]byte(s[:i])); got != want {
				t.Errorf("%q: %v, want %v", s[:i], got, want)
			}
		}
	}
}

func BenchmarkValid(b *testing.B) {
	log, err := os.ReadFile("../enrich/testdata/eve.log")
	if err != nil {
		b.Fatal(err)
	}
	line, _, _ := bytes.Cut(log, []byte("\n"))
	for name, valid := range map[string]func([]byte) bool{"ours": Valid, "encoding_json": json.Valid} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(line)))
			for b.Loop() {
				if !valid(line) {
					b.Fatal("it is not")
				}
			}
		})
	}
}

// FuzzMembers: the small reader of JSON agrees with the large one.
func FuzzMembers(f *testing.F) {
	seeds(f)
	f.Add([]byte(` { "a" : [ { "b" : "]}\"" } , 1 ] , "" : -1e5 , "c\"d" : null , "a" : {} } `))
	f.Fuzz(func(t *testing.T, line []byte) {
		var want map[string]json.RawMessage
		if json.Unmarshal(line, &want) != nil || want == nil {
			return
		}
		got := map[string]string{}
		for key, value := range Members(line) {
			var name string
			if err := json.Unmarshal([]byte(`"`+string(key)+`"`), &name); err != nil {
				t.Fatalf("%q: key %q: %v", line, key, err)
			}
			got[name] = string(value)
		}
		if len(got) != len(want) {
			t.Fatalf("%q: got %q, want %q", line, got, want)
		}
		for key, value := range want {
			if got[key] != string(value) {
				t.Fatalf("%q: %q is %q, want %q", line, key, got[key], value)
			}
			if s := Unquote([]byte(value)); s != nil {
				var text string
				if err := json.Unmarshal(value, &text); err != nil || strings.ToValidUTF8(string(s), "\uFFFD") != strings.ToValidUTF8(text, "\uFFFD") && !strings.Contains(text, "\uFFFD") {
					t.Fatalf("%q is %q, want %q", value, s, text)
				}
			}
		}
	})
}
