package jsonline

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzMembers: the small reader of JSON agrees with the large one.
func FuzzMembers(f *testing.F) {
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
