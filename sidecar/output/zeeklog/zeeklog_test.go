package zeeklog

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"serveflow/sidecar/output/jsonl"
)

// rows reads a log and renders the fields ts, name and set of its rows.
func rows(t *testing.T, in io.Reader) (rows []string, r *Reader, err error) {
	t.Helper()
	r, err = NewReader(in, "ts", "name", "set")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		if err := r.Next(); err != nil {
			return rows, r, err
		}
		us, ok := r.Time(0)
		row := fmt.Sprintf("%d: %d %v %q", r.Line(), us, ok, r.List(2))
		if name := r.Text(1); name != nil {
			row += fmt.Sprintf(" %q", name)
		}
		rows = append(rows, row)
	}
}

func TestReader(t *testing.T) {
	const header = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tx\n"
	for _, c := range []struct {
		name, log     string
		want          []string
		broken, first int
		err           error
	}{
		{"nothing", "", nil, 0, 0, io.EOF},
		{"TSV", header + "#fields\tname\tother\tset\tts\n#types\tstring\tstring\tset[string]\ttime\na\tx\tb,c\\x2cd\t1.5\n-\tx\t-\t-\n\n(empty)\tx\t(empty)\t0.000001\r\na\\x09\\xzz\\\tx\t-,e\t-\n#close\tnow\n",
			[]string{`8: 1500000 true ["b" "c,d"] "a"`, `9: 0 false []`, `11: 1 true [] ""`, `12: 0 false ["-" "e"] "a\t\\xzz\\"`}, 0, 0, io.EOF},
		{"JSON", `{"ts":1.5,"name":"a","set":["b","c\"d",1,null],"other":{"name":"x"}}` + "\n" + ` {"name":null,"set":[]} ` + "\n" + `{"ts":"1970-01-01T00:00:01Z","name":"","set":"x"}` + "\n" + `{"name":7}`,
			[]string{`1: 1500000 true ["b" "c\"d" "1" ""] "a"`, `2: 0 false []`, `3: 1000000 true [] ""`, `4: 0 false [] "7"`}, 0, 0, io.EOF},
		{"several logs", header + "#fields\tname\na\n#separator \\x7c\n#set_separator|;\n#unset_field|NIL\n#empty_field|E\n#fields|set|name\nx;y|-\nE|NIL\n{\"name\":\"c\"}\n" + header + "#fields\tts\n2\n",
			[]string{`7: 0 false [] "a"`, `13: 0 false ["x" "y"] "-"`, `14: 0 false []`, `15: 0 false [] "c"`, `22: 2000000 true []`}, 0, 0, io.EOF},
		{"torn lines", "\x00torn\n" + header + "#fields\tname\tset\na\nb\tc\td\ne\tf\n{\"name\":\nlast",
			[]string{`10: 0 false ["f"] "e"`}, 5, 1, io.EOF},
		{"an empty log", header + "#fields\tname\n", nil, 0, 0, io.EOF},
		{"another file", "Friday: call the printer people.\nMonday: they call back.\n", nil, 2, 1, ErrFormat},
		{"a long line", strings.Repeat("x", jsonl.MaxLine+300<<10) + "\n{\"name\":\"a\"}\n", []string{`2: 0 false [] "a"`}, 1, 1, io.EOF},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, r, err := rows(t, strings.NewReader(c.log))
			if err != c.err || strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("%v\ngot\n%s\nwant\n%s", err, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
			if broken, first := r.Broken(); broken != c.broken || first != c.first {
				t.Errorf("%d broken lines, the first is %d", broken, first)
			}
		})
	}
	trouble := errors.New("trouble")
	if got, _, err := rows(t, io.MultiReader(strings.NewReader("{}\n{}\n{"), iotest.ErrReader(trouble))); err != trouble || len(got) != 2 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestTuple(t *testing.T) {
	for _, c := range []struct{ from, want string }{
		{"192.0.2.1 1 192.0.2.2 2 tcp", "192.0.2.1 1 192.0.2.2 2 6 4"},
		{"::ffff:192.0.2.1 1 192.0.2.2 2 UDP", "192.0.2.1 1 192.0.2.2 2 17 4"},
		{"2001:db8::1 128 2001:db8::2 129 icmp", "2001:db8::1 128 2001:db8::2 129 58 6"},
		{"192.0.2.1 8 192.0.2.2 0 icmp", "192.0.2.1 8 192.0.2.2 0 1 4"},
		{"2001:db8::1 1 2001:db8::2 2 IPv6-ICMP", "2001:db8::1 1 2001:db8::2 2 58 6"},
		{"192.0.2.1 65536 192.0.2.2 -1 sctp", "192.0.2.1 0 192.0.2.2 0 132 4"},
		{"192.0.2.1 1 192.0.2.2 2 unknown_transport", "192.0.2.1 1 192.0.2.2 2 0 4"},
		{"192.0.2.1 1 192.0.2.2 2 47", "192.0.2.1 1 192.0.2.2 2 47 4"},
		{"192.0.2.1 1 2001:db8::2 2 tcp", ""},
		{"fe80::1%eth0 1 fe80::2 2 tcp", ""},
		{"a 1 b 2 tcp", ""},
	} {
		f := strings.Fields(c.from)
		tuple, ok := Tuple([]byte(f[0]), []byte(f[1]), []byte(f[2]), []byte(f[3]), []byte(f[4]))
		got := ""
		if ok {
			got = fmt.Sprint(tuple.SrcAddr(), tuple.SrcPort, " ", tuple.DstAddr(), tuple.DstPort, tuple.Proto, tuple.Version)
		}
		if strings.Join(strings.Fields(got), " ") != c.want {
			t.Errorf("%s: %q, want %q", c.from, got, c.want)
		}
	}
}

// TestUnderscores: a JSON log whose shipper has id_orig_h for id.orig_h is read, and
// no other key is taken for one.
func TestUnderscores(t *testing.T) {
	r, err := NewReader(strings.NewReader(`{"id_orig_h":"192.0.2.1","id.resp_h":"192.0.2.2","idxorig_h":"no","conn_state":"SF"}`), "id.orig_h", "id.resp_h", "conn_state")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Next(); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%s %s %s", r.Text(0), r.Text(1), r.Text(2)); got != "192.0.2.1 192.0.2.2 SF" {
		t.Error(got)
	}
}
