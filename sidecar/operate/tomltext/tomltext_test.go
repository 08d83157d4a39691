package tomltext

import (
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
)

func TestCheck(t *testing.T) {
	deep := strings.Repeat("a.", 10_000) + "a"
	for name, c := range map[string]struct{ text, line string }{
		"plain":              {"a = 1\n[b.c]\nd = [[1.5, 2.5], [3.5]]\n[[e]]\nf = {g = {h = 1}}\n", ""},
		"a dotted key":       {"x = 1\n" + deep + " = 1\n", "line 2"},
		"a table":            {"[" + deep + "]\n", "line 1"},
		"an array of tables": {"[[" + deep + "]]\n", "line 1"},
		"quoted parts":       {strings.Repeat(`"a".'b'.`, 5_000) + "a = 1", "line 1"},
		"inside a table":     {"a = {" + deep + " = 1}", "line 1"},
		"arrays":             {"a = " + strings.Repeat("[", 10_000), "line 1"},
		"inline tables":      {"a = " + strings.Repeat("{a=", 10_000), "line 1"},
		"as deep as allowed": {strings.Repeat("a.", MaxDepth-1) + "a = 1", ""},
		"in strings": {`a = "` + deep + `\"[[[" # ` + deep + "\nb = '" + deep + "'\nc = \"\"\"\n" + deep +
			"\n\\\"\"\"\"\nd = '''" + deep + "'''", ""},
		"after strings":  {"c = \"\"\"\n\n\"\"\"\n" + deep + " = 1", "line 4"},
		"many numbers":   {"a = [" + strings.Repeat("1.5, ", 10_000) + "]", ""},
		"many keys":      {strings.Repeat("\"a.b.c\" = 1.5\n", 10_000), ""},
		"an open string": {"a = \"b\nc" + deep, "line 2"},
	} {
		begin := time.Now()
		err := Check([]byte(c.text))
		if c.line == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), c.line) {
			t.Errorf("%s: %v, want %q", name, err, c.line)
		}
		if took := time.Since(begin); took > time.Second {
			t.Errorf("%s: it took %v", name, took)
		}
	}
}

// FuzzCheck: what is let through has no deep keys for the parser, whatever it is.
func FuzzCheck(f *testing.F) {
	f.Add("a = 1\n[b.c]\nd = [[1.5, 2.5], [3.5]]\n[[e]]\nf = {g = {h = 1}}\n")
	f.Add(strings.Repeat("a.", 100) + "a = 1")
	f.Add("a = '''\n'''\nb = \"\"\"x\"\"\"\n\"\" = \"\\\"\"")
	f.Fuzz(func(t *testing.T, text string) {
		if Check([]byte(text)) != nil {
			return
		}
		var v map[string]any
		md, err := toml.Decode(text, &v)
		if err != nil {
			return
		}
		for _, key := range md.Keys() { // a table's, and inline tables in it
			if len(key) > (MaxDepth+2)*MaxDepth {
				t.Fatalf("a key of %d parts in %q", len(key), text)
			}
		}
	})
}
