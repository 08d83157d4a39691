package enrich

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"serveflow/sidecar/output/jsonl"
	"serveflow/sidecar/output/zeeklog"
)

func seeds(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.log")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		log := read(f, path)
		f.Add(log)
		for line := range bytes.Lines(log) {
			f.Add(bytes.TrimSuffix(line, []byte("\n")))
		}
	}
}

func isPlain(in []byte) bool {
	return !bytes.HasPrefix(in, []byte{0x1f, 0x8b}) && !bytes.HasPrefix(in, []byte{0x28, 0xb5, 0x2f, 0xfd})
}

// FuzzTSV: whatever a Zeek log's header and rows are, no byte of it is lost,
// and what is added stands at the end of a line.
func FuzzTSV(f *testing.F) {
	seeds(f)
	labels := loaded(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		if !isPlain(in) || bytes.Contains(in, []byte("ml_")) {
			return // columns of ours may be changed in their places
		}
		in = append([]byte("#separator \\x09\n#"), in...)
		var out bytes.Buffer
		if _, err := labels.Enrich(bytes.NewReader(in), &out); err != nil {
			t.Fatal(err)
		}
		before, after := bytes.Split(in, []byte("\n")), bytes.Split(out.Bytes(), []byte("\n"))
		if len(before) != len(after) {
			t.Fatalf("%d lines became %d: %q", len(before), len(after), out.Bytes())
		}
		for i := range before {
			line, cr := bytes.CutSuffix(before[i], []byte("\r"))
			if i == len(before)-1 {
				line, cr = before[i], false // no end of line, a part of it
			}
			if brace := bytes.LastIndexByte(line, '}'); json.Valid(line) && brace >= 0 {
				line = line[:brace] // JSON among the TSV
			}
			if !bytes.HasPrefix(after[i], line) || cr != bytes.HasSuffix(after[i], []byte("\r")) && cr {
				t.Fatalf("%q became %q", before[i], after[i])
			}
		}
	})
}

// FuzzSplice: a line of JSON is passed on as it is, or with a piece inserted
// and then still JSON, with the same keys and values as before.
func FuzzSplice(f *testing.F) {
	seeds(f)
	labels := loaded(f)
	f.Fuzz(func(t *testing.T, line []byte) {
		if bytes.ContainsAny(line, "\n\r") || jsonl.FirstByte(line) != '{' {
			return
		}
		var out bytes.Buffer
		stats, err := labels.Enrich(bytes.NewReader(line), &out)
		if err != nil && (err != zeeklog.ErrFormat || json.Valid(line)) {
			t.Fatal(err)
		}
		got := out.Bytes()
		if stats.ByID+stats.ByCommunityID == 0 {
			if !bytes.Equal(got, line) {
				t.Fatalf("%q became %q", line, got)
			}
			return
		}
		var before, after map[string]json.RawMessage // not any: numbers may be past float64
		if err := json.Unmarshal(line, &before); err != nil {
			t.Fatalf("%q was enriched: %v", line, err)
		}
		if err := json.Unmarshal(got, &after); err != nil {
			t.Fatalf("%q became %q: %v", line, got, err)
		}
		if bytes.Contains(line, []byte("serveflow")) || bytes.Contains(line, []byte("ml_")) {
			return // members of ours that were not set are gone
		}
		brace := bytes.LastIndexByte(line, '}')
		if !bytes.HasPrefix(got, line[:brace]) || !bytes.HasSuffix(got, line[brace:]) {
			t.Fatalf("%q became %q", line, got)
		}
		for key := range after {
			_, there := before[key]
			if ours := key == "serveflow" || strings.HasPrefix(key, "ml_"); !there && !ours {
				t.Fatalf("%q became %q", line, got)
			}
		}
	})
}

// FuzzLabels: any label log can be loaded or refused, and what was loaded can
// be written into either format.
func FuzzLabels(f *testing.F) {
	f.Add(labelLog(f))
	for line := range bytes.Lines(labelLog(f)) {
		f.Add(line)
	}
	f.Add([]byte(`{"flow":1,"label":"@@","model":"@","score":1e400,"ts":-1.5,"packets":-1}`))
	f.Fuzz(func(t *testing.T, log []byte) {
		if !isPlain(log) {
			return
		}
		l, err := Load(bytes.NewReader(log))
		if err != nil {
			return
		}
		table := newTable()
		for i := range l.decisions {
			eve := l.appendEVE([]byte(`{"a":1`), &l.decisions[i], i%2 == 0)
			zeek := l.appendZeekJSON([]byte(`{"a":1`), &l.decisions[i])
			if !json.Valid(append(eve, '}')) || !json.Valid(append(zeek, '}')) {
				t.Fatalf("%q gives %q and %q", log, eve, zeek)
			}
			table.values(l, &l.decisions[i])
			for _, v := range table.ours {
				if len(v) == 0 || bytes.ContainsAny(v, "\t\n") {
					t.Fatalf("%q gives the column %q", log, v)
				}
			}
		}
	})
}
