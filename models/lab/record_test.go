package main

import (
	"context"
	"encoding/csv"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"serveflow/models/dataset"
	"serveflow/sidecar/replay"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[0] == sessionProcess {
		os.Exit(runSession(os.Args[1]))
	}
	os.Exit(m.Run())
}

// A session records the flows of its program and no others, to the port that
// was drawn for it, also where the wire changes it, and from the gateway where there
// is one.
func TestRecord(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: records sessions in real time")
	}
	if os.Getuid() != 0 {
		t.Skip("network namespaces need root")
	}
	if err := checkTools(); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	o := options{output: dir, sessions: 2, parallel: 4, seed: 5, labels: []string{"ntp", "dns"}}
	for range 2 { // the second time, all is there
		if err := record(context.Background(), o); err != nil {
			t.Fatal(err)
		}
	}
	sessions, err := o.plan()
	if err != nil {
		t.Fatal(err)
	}
	hidden := map[string]gateway{}
	for _, s := range sessions {
		hidden[s.File] = s.Gateway
	}
	f, err := os.Open(filepath.Join(dir, "manifest.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) != 5 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, row := range rows[1:] {
		source, err := replay.Open(filepath.Join(dir, row[0]))
		if err != nil {
			t.Fatal(err)
		}
		defer source.Close()
		flows := replay.NewFlows(source, replay.Options{})
		var ev replay.Event
		for {
			if err := flows.Next(&ev); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if at := hidden[row[0]]; at != "" && net.IP(ev.Tuple.Src[:4]).String() != string(at) {
				t.Errorf("%s: a flow of %v, not of the gateway %s", row[0], ev.Tuple.Src[:4], at)
			}
			if port := strconv.Itoa(int(ev.Tuple.DstPort)); port != row[5] {
				t.Errorf("%s: a flow to port %s, not %s", row[0], port, row[5])
			}
		}
		if n := strconv.FormatUint(flows.Counts().Flows, 10); n != row[6] || n == "0" {
			t.Errorf("%s: %s flows, the manifest says %s", row[0], n, row[6])
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "pcap", "*"))
	if err != nil || len(left) != 4 {
		t.Errorf("files %v, %v", left, err)
	}
}

// What is recorded already is read back, and is a manifest for others too.
func TestManifest(t *testing.T) {
	dir := t.TempDir()
	row := []string{"pcap/a.pcap.zst", "web", "wget", "test", "far", "443", "3", "70", "128"}
	r := &recorder{options: options{output: dir}, rows: map[string][]string{row[0]: row}}
	if err := r.save(); err != nil {
		t.Fatal(err)
	}
	again := &recorder{options: r.options, rows: map[string][]string{}}
	if err := again.load(); err != nil || !reflect.DeepEqual(again.rows, r.rows) {
		t.Errorf("%v, %v", again.rows, err)
	}
	list, err := dataset.Read(filepath.Join(dir, "manifest.csv"), "label", []string{"test"})
	if err != nil || len(list) != 1 || list[0].Label != "web" {
		t.Errorf("%v, %v", list, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "manifest.csv"), []byte("file,class\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := again.load(); err == nil || !strings.Contains(err.Error(), "not written by this program") {
		t.Errorf("somebody else's manifest: %v", err)
	}
}

func TestPlanRefusesUnknownLabels(t *testing.T) {
	o := options{sessions: 1, labels: []string{"web", "nosuch"}}
	if _, err := o.plan(); err == nil || !strings.Contains(err.Error(), `no label "nosuch"`) {
		t.Errorf("%v", err)
	}
}

// The page lists every label.
func TestPage(t *testing.T) {
	text, err := os.ReadFile("../../docs/lab.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range catalogue {
		if !strings.Contains(string(text), "\n| "+l.name+" | ") {
			t.Errorf("docs/lab.md has no row for %s", l.name)
		}
	}
}
