package groundtruth

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"serveflow/sidecar/replay"
)

var update = flag.Bool("update", false, "rewrite the golden file")

// TestZeek asks Zeek's own logs for the flows of the captures that it read: every
// one is in them, at the very time.
func TestZeek(t *testing.T) {
	l, err := Open("testdata/labels.toml")
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintln(l.Read)
	for _, file := range []string{"dns", "http", "ssh", "tls"} {
		traces, err := replay.ReadTraces(filepath.Join("../../test/captures", file+".pcap"), replay.Options{IgnoreChecksums: true}, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, trace := range traces {
			a := l.Of("", trace.Tuple, trace.Start)
			if a.By == NoLog {
				t.Errorf("%s: flow %d is in no log", file, trace.Flow)
			}
			by := [...]string{ByCapture: "capture", ByList: "list", ByName: "name", ByDNS: "dns", ByService: "service",
				NoLog: "in no log", NoName: "no name", NoRule: "no rule", InConflict: "conflict"}[a.By]
			got += strings.TrimRight(fmt.Sprintf("%s %d: %s, %s %s", file, trace.Flow, cmp.Or(a.Label, "-"), by, a.Unmatched), " ") + "\n"
		}
	}
	const path = "testdata/zeek.want"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(path); err != nil || got != string(want) {
		t.Errorf("%v: got\n%s\nwant\n%s", err, got, want)
	}
}
