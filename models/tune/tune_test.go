package tune

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"serveflow/models/dataset"
	"serveflow/models/groundtruth"
	"serveflow/models/tune/search"
	"serveflow/sidecar/bundle"
	"serveflow/sidecar/output/communityid"
	"serveflow/sidecar/replay"
)

const (
	toy      = "../../test/bundle/toy"
	recorded = "../../test/captures"
)

// copies is how many times each capture stands in each split.
const copies = 30

// setUp writes a directory of candidates made of the toy bundle's models, and
// returns it with captures of three services, each many times.
func setUp(t *testing.T) (dir string, list []dataset.Capture) {
	t.Helper()
	dir = t.TempDir()
	folds := map[string]int{}
	for _, split := range []string{trainSplit, calibrationSplit, testSplit} {
		for i := range copies {
			for file, label := range map[string]string{"dns.pcap": "dns", "http.pcap": "web", "ssh.pcap": "shell"} {
				name := fmt.Sprintf("%s-%d-%s", split, i, file)
				if split == trainSplit {
					folds[name] = i % 2
				}
				list = append(list, dataset.Capture{File: name, Path: filepath.Join(recorded, file), Label: label, Split: split})
			}
		}
	}
	slices.SortFunc(list, func(a, b dataset.Capture) int { return strings.Compare(a.File, b.File) })
	var text strings.Builder
	fmt.Fprint(&text, `
name = "service"
version = "1.0.0"
task = "which service a flow is of"
labels = ["dns", "web", "shell"]
alarms = ["shell"]
[features]
packets = 3
quiet = 10
sections = ["seq"]
masks = ["addresses", "checksums", "identifiers", "tcp_sequence", "tcp_timestamps", "ephemeral_ports"]
[provenance]
data = "test captures"
licence = "Apache-2.0"
citation = "none"
trained = "2026-01-01"
trainer = "by hand"
[text]
use = "Tests."
limits = "<script>alert(1)</script>"
data = "Own."
`)
	files := map[string]string{}
	for _, name := range []string{"fast.txt", "slow.txt", "fast.txt.golden.json", "slow.txt.golden.json"} {
		data, err := os.ReadFile(filepath.Join(toy, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
		files[name] = bundle.Digest(data)
	}
	for _, events := range []string{"packet", "meta"} {
		for name, packets := range map[string]int{"fast": 1, "slow": 3} {
			fmt.Fprintf(&text, "[[candidate]]\nname = \"%s-%s\"\nevents = %q\npackets = %d\nmodel = \"%s.txt\"\nkind = \"lightgbm\"\nfolds = [\"%s.txt\", \"%s.txt\"]\nabout = \"a < b\"\n",
				events, name, events, packets, name, name, name)
		}
	}
	fmt.Fprintln(&text, "[folds]")
	for _, name := range slices.Sorted(maps.Keys(folds)) {
		fmt.Fprintf(&text, "%q = %d\n", name, folds[name])
	}
	fmt.Fprintln(&text, "[files]")
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&text, "%q = %q\n", name, files[name])
	}
	if err := os.WriteFile(filepath.Join(dir, CandidatesFile), []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir, list
}

func options(dir string, list []dataset.Capture) Options {
	return Options{
		Candidates: dir, Captures: list, Replay: replay.Options{IgnoreChecksums: true},
		Objective: search.Latency, MaxLoss: .05, Target: .3, Delta: .1, Stages: 4,
		Limits: search.Limits{Budget: 5e-4, Cover: .05},
	}
}

func TestRun(t *testing.T) {
	dir, list := setUp(t)
	o := options(dir, list)
	o.Captures = append(slices.Clone(list), dataset.Capture{File: "none.pcap", Path: "/nonexistent/none.pcap", Split: testSplit, Label: list[0].Label})
	first, err := Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Unread) != 1 || !strings.Contains(first.Unread[0].Error(), "none.pcap") {
		t.Errorf("not read: %v", first.Unread)
	}
	for _, c := range first.Choices {
		if !c.Proved || len(c.Final) != 2 || c.Models[c.Final[0].Candidate].Packets != 1 {
			t.Errorf("%s: %s, proved: %v, least %v", c.Events, c.names(c.Final, ", "), c.Proved, c.Least)
		}
	}
	out := filepath.Join(t.TempDir(), "bundle")
	if err := first.WriteBundle(out); err != nil {
		t.Fatal(err)
	}

	// Again, with the costs as they were measured and answers that were kept:
	// the same bundle, byte for byte, in the place of the first.
	before := tree(t, out)
	o.Costs = filepath.Join(dir, CostsFile)
	again, err := Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.WriteBundle(out); err != nil {
		t.Fatal(err)
	}
	if after := tree(t, out); !maps.Equal(before, after) {
		t.Errorf("the second bundle differs")
	}
	b, err := bundle.Open(out, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if m := b.Manifest; m.Calibration.TargetError != .3 || m.Calibration.MetaTargetError != .3 || m.Calibration.Delta != .1 || m.Calibration.Sessions != 3*copies {
		t.Errorf("calibration %+v", m.Calibration)
	}
	if m := b.Manifest; !slices.Equal(m.Alarms, []string{"shell"}) {
		t.Errorf("alarms %q", m.Alarms)
	}
	for i, s := range slices.Concat(b.Manifest.Packet.Stage, b.Manifest.Meta.Stage) {
		// No column needs headers, so the flows look alike to both cascades.
		if want := b.Manifest.Packet.Stage[i%2].Model; s.Model != want {
			t.Errorf("stage %s: model %q, want %q", s.Name, s.Model, want)
		}
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}

	var text, page bytes.Buffer
	if err := again.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if want := "show the promise with confidence 90 %"; !strings.Contains(text.String(), want) {
		t.Errorf("%q is not in:\n%s", want, &text)
	}
	if err := again.WriteReport(&page); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Quality against latency", "How soon", "Reliability", "go on", "Confusion", "each stage settles", "look at", "Taps that see no headers"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the report has no %q", want)
		}
	}
	if found := regexp.MustCompile(`(?i)https?://|<script|<link|src=|@import|url\(|NaN|Inf\b`).FindString(page.String()); found != "" {
		t.Errorf("the report has %q in it", found)
	}
}

// tree reads the files of a directory.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			var data []byte
			data, err = os.ReadFile(filepath.Join(dir, path))
			files[path] = string(data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestRunWithoutProof asks for more than so few sessions can show: the bundle
// has the slow model alone, and no promise.
func TestRunWithoutProof(t *testing.T) {
	dir, list := setUp(t)
	o := options(dir, list)
	o.Target = .02
	r, err := Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	c := r.Choices[0]
	if c.Proved || len(c.Final) != 1 || c.Final[0].Candidate != c.Slow {
		t.Errorf("%s, proved: %v", c.names(c.Final, ", "), c.Proved)
	}
	if m, _ := r.bundle(); m.Calibration.TargetError != 0 {
		t.Errorf("a promise all the same: %+v", m.Calibration)
	}
	var text bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "do not show") {
		t.Errorf("the text does not say that nothing was shown:\n%s", &text)
	}
}

// TestBackground: what the candidates do not know is background.
func TestBackground(t *testing.T) {
	dir, list := setUp(t)
	path := filepath.Join(dir, CandidatesFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("[features]"), []byte("background = \"web\"\n[features]"), 1)
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := Run(context.Background(), options(dir, relabelled(list)))
	if err != nil {
		t.Fatal(err)
	}
	if f := r.Choices[0].Calibration.Flows[0]; r.Candidates.Labels[f.Class] != "web" {
		t.Errorf("flows of a label that the candidates do not know are %s", r.Candidates.Labels[f.Class])
	}
	if m, _ := r.bundle(); m.Background != "web" {
		t.Errorf("the bundle's background is %q", m.Background)
	}
}

// TestResume stops a run half way: the next asks only about what is left.
func TestResume(t *testing.T) {
	dir, list := setUp(t)
	o := options(dir, list)
	ctx, stop := context.WithCancel(context.Background())
	o.Progress = func(what string, done, total int) {
		if strings.HasPrefix(what, "asking") && done == total/2 {
			stop()
		}
	}
	if _, err := Run(ctx, o); err == nil {
		t.Fatal("the run was not stopped")
	}
	kept, _ := filepath.Glob(filepath.Join(dir, "asked", "*.gob"))
	if len(kept) == 0 {
		t.Fatal("nothing was kept")
	}
	// A file that was cut is asked about again.
	if err := os.Truncate(kept[0], 10); err != nil {
		t.Fatal(err)
	}
	o.Progress = nil
	if _, err := Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
}

func TestRunRefuses(t *testing.T) {
	dir, list := setUp(t)
	for name, test := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"no directory":         {func(o *Options) { o.Candidates = dir + "/none" }, "let models/train make it"},
		"a training capture":   {func(o *Options) { o.Captures = moved(list, trainSplit, calibrationSplit) }, "a promise would be worth nothing"},
		"an unknown capture":   {func(o *Options) { o.Captures = moved(list, calibrationSplit, trainSplit) }, "were not trained on it"},
		"no calibration":       {func(o *Options) { o.Captures = without(list, calibrationSplit) }, "no captures of split calibration"},
		"no such slow model":   {func(o *Options) { o.Slow = "snail" }, `no candidate "snail"`},
		"a label nobody knows": {func(o *Options) { o.Captures = relabelled(list) }, `do not know the label "mail"`},
	} {
		o := options(dir, list)
		test.change(&o)
		if _, err := Run(context.Background(), o); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// TestRunOnFlowLabels: labels of single flows take the place of the captures', and
// flows without one are left out.
func TestRunOnFlowLabels(t *testing.T) {
	dir, list := setUp(t)
	known := listLabels(t, "dns.pcap", "http.pcap", "ssh.pcap")
	for i := range list {
		list[i].Label, list[i].Flows = "", known
	}
	// Training captures without a labelled flow have not been trained on.
	list = append(list, dataset.Capture{File: "tls", Path: recorded + "/tls.pcap", Split: trainSplit, Flows: known})
	r, err := Run(context.Background(), options(dir, list))
	if err != nil {
		t.Fatal(err)
	}
	c := r.Choices[0]
	flows := map[string]int{}
	for _, f := range c.Calibration.Flows {
		flows[r.Candidates.Labels[f.Class]]++
	}
	// The first flow of each file has no label.
	if want := map[string]int{"dns": 6 * copies, "web": 7 * copies, "shell": copies}; !maps.Equal(flows, want) {
		t.Errorf("calibration flows %v, want %v", flows, want)
	}
	if want := 3*3*copies + 4; c.Unlabelled != want {
		t.Errorf("%d flows without a label, want %d", c.Unlabelled, want)
	}
	var text bytes.Buffer
	if err := r.WriteText(&text); err != nil || !strings.Contains(text.String(), fmt.Sprintf("(%d flows whose label nobody knows are left out)", c.Unlabelled)) {
		t.Errorf("%v in\n%s", err, &text)
	}
	if sheet := r.datasheet(); !strings.Contains(sheet, "--manifest manifest.csv --labels labels.toml --costs") {
		t.Errorf("the datasheet does not say how the flows were labelled:\n%s", sheet)
	}

	// With other labels the answers that were kept do not count.
	known = listLabels(t, "dns.pcap", "http.pcap", "ssh.pcap", "tls.pcap")
	for i := range list {
		list[i].Flows = known
	}
	if _, err := Run(context.Background(), options(dir, list)); err == nil || !strings.Contains(err.Error(), "capture tls is of split train and the candidates were not trained on it") {
		t.Errorf("a capture that was not trained on: %v", err)
	}
}

// listLabels lists the flows of captures but the first one of each.
func listLabels(t *testing.T, files ...string) *groundtruth.Labels {
	t.Helper()
	label := map[string]string{"dns.pcap": "dns", "http.pcap": "web", "ssh.pcap": "shell", "tls.pcap": "web"}
	list := "community_id,start,label\n"
	for _, file := range files {
		traces, err := replay.ReadTraces(filepath.Join(recorded, file), replay.Options{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, trace := range traces[1:] {
			list += fmt.Sprintf("%s,%f,%s\n", communityid.Of(trace.Tuple), float64(trace.Start)/1e6, label[file])
		}
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "labels.toml")
	err := errors.Join(os.WriteFile(filepath.Join(dir, "list.csv"), []byte(list), 0o644), os.WriteFile(path, []byte(`flows = ["list.csv"]`), 0o644))
	if err != nil {
		t.Fatal(err)
	}
	known, err := groundtruth.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return known
}

func moved(list []dataset.Capture, from, to string) []dataset.Capture {
	list = slices.Clone(list)
	i := slices.IndexFunc(list, func(c dataset.Capture) bool { return c.Split == from })
	list[i].Split = to
	return list
}

func without(list []dataset.Capture, split string) []dataset.Capture {
	return slices.DeleteFunc(slices.Clone(list), func(c dataset.Capture) bool { return c.Split == split })
}

func relabelled(list []dataset.Capture) []dataset.Capture {
	list = slices.Clone(list)
	list[0].Label = "mail"
	return list
}

func TestReadCosts(t *testing.T) {
	c := &Candidates{Candidate: []Candidate{{Name: "a"}, {Name: "b"}}}
	for text, want := range map[string]string{
		`{"machine":"m","candidates_us":{"a":1,"b":2}}`:  "",
		`{"machine":"m","candidates_us":{"a":1}}`:        `no cost of candidate "b"`,
		`{"machine":"m","candidates_us":{"a":1,"b":-2}}`: `no cost of candidate "b"`,
		`{"candidates":{}}`:                              "unknown field",
		`{`:                                              "unexpected EOF",
	} {
		path := filepath.Join(t.TempDir(), CostsFile)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := ReadCosts(path, c)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// FuzzCandidates reads candidates.toml that may come from anywhere.
func FuzzCandidates(f *testing.F) {
	f.Add([]byte("labels = [\"a\", \"b\"]\n[features]\npackets = 3\n[[candidate]]\nname = \"x\"\nevents = \"packet\"\npackets = 1\nmodel = \"m\"\nfolds = [\"m\", \"m\"]\n[folds]\n\"c\" = 1\n[files]\nm = \"sha256:\"\n"))
	f.Add([]byte("[[candidate]]\npackets = -1\n[folds]\na = 99999999999"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := readCandidates(fstest.MapFS{CandidatesFile: {Data: text}})
		if err == nil && (len(c.Labels) < 2 || len(c.Candidate) == 0) {
			t.Errorf("%d labels, %d candidates", len(c.Labels), len(c.Candidate))
		}
	})
}
