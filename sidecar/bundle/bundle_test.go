package bundle

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/sys/unix"

	"serveflow/models"
)

const toy = "../../test/bundle/toy"

// copyToy is the toy bundle in memory, to be changed.
func copyToy(t testing.TB) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	err := fs.WalkDir(os.DirFS(toy), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(toy, path))
		files[path] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// edit replaces text in a file of the bundle.
func edit(t *testing.T, files fstest.MapFS, name, old, new string) {
	t.Helper()
	text := string(files[name].Data)
	if !strings.Contains(text, old) {
		t.Fatalf("%s does not contain %q", name, old)
	}
	files[name] = &fstest.MapFile{Data: []byte(strings.Replace(text, old, new, 1))}
}

// sign brings the digest of a file in the manifest up to date.
func sign(t *testing.T, files fstest.MapFS, name string) {
	t.Helper()
	lines := strings.Split(string(files[ManifestFile].Data), "\n")
	for i, line := range lines {
		if strings.HasPrefix(strings.TrimSpace(line), fmt.Sprintf("%q", name)) {
			lines[i] = fmt.Sprintf("%q = \"sha256:%x\"", name, sha256.Sum256(files[name].Data))
		}
	}
	files[ManifestFile] = &fstest.MapFile{Data: []byte(strings.Join(lines, "\n"))}
}

func TestLoad(t *testing.T) {
	b, err := Load(copyToy(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if b.Packet == nil || b.Meta == nil || b.Packets() != 3 || b.Name() != "toy@"+b.Manifest.Version {
		t.Errorf("loaded %+v", b)
	}
	if slow := b.SlowOnly(); len(slow.Packet.Stages) != 1 || len(slow.Meta.Stages) != 1 || len(b.Packet.Stages) != 2 {
		t.Errorf("slow only: %+v", slow)
	}
}

func TestProtocols(t *testing.T) {
	files := copyToy(t)
	edit(t, files, ManifestFile, "[features]\n", "[features]\nprotocols = [\"udp\"]\n")
	b, err := Load(files, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for proto, want := range map[uint8]bool{17: true, 6: false, 1: false, 0: true} {
		if b.Serves(proto) != want {
			t.Errorf("protocol %d is served: %v", proto, !want)
		}
	}
}

// manyNames are names of 32 bytes, as the inside of a TOML list.
func manyNames(n int) string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("%032d", i))
	}
	return strings.Join(names, `", "`)
}

func TestServices(t *testing.T) {
	b, err := Load(copyToy(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if got, want := b.Manifest.Services(), []string{"dns", "http,http2", ""}; !slices.Equal(got, want) {
		t.Errorf("labels agree with %q, want %q", got, want)
	}
}

// TestRefuses has bundles that are wrong in one way, and what the error must
// say.
func TestRefuses(t *testing.T) {
	manifest := func(old, new string) func(*testing.T, fstest.MapFS) {
		return func(t *testing.T, files fstest.MapFS) { edit(t, files, ManifestFile, old, new) }
	}
	tests := []struct {
		name   string
		change func(*testing.T, fstest.MapFS)
		want   string
	}{
		{"no manifest", func(_ *testing.T, f fstest.MapFS) { delete(f, ManifestFile) }, "not a bundle"},
		{"not TOML", manifest("[features]", "[features"), "manifest.toml"},
		{"unknown field", manifest("[features]", "[features]\nencoder = \"x\""), "features.encoder: no such field"},
		{"name", manifest(`name = "toy"`, `name = "Toy Bundle"`), "name: \"Toy Bundle\": use lower-case"},
		{"label twice", manifest(`labels = [`, `labels = ["x", "x", `), "is listed twice"},
		{"label unknown", manifest(`labels = [`, `labels = ["unknown", `), "choose another name"},
		{"techniques of no label", manifest("[agrees]\n", "[attack]\nmail = [\"T1090\"]\n[agrees]\n"), `attack."mail": no such label`},
		{"no techniques", manifest("[agrees]\n", "[attack]\nshell = []\n[agrees]\n"), `attack."shell": 0 techniques`},
		{"a technique that is none", manifest("[agrees]\n", "[attack]\nshell = [\"t1021\"]\n[agrees]\n"), `attack."shell": "t1021": write a technique as T1090 or T1090.003`},
		{"a technique with a short sub-technique", manifest("[agrees]\n", "[attack]\nshell = [\"T1021.4\"]\n[agrees]\n"), `attack."shell": "T1021.4": write a technique`},
		{"a technique twice", manifest("[agrees]\n", "[attack]\nshell = [\"T1021\", \"T1021\"]\n[agrees]\n"), `attack."shell": "T1021" is listed twice`},
		{"agrees of no label", manifest("[agrees]\n", "[agrees]\nmail = [\"smtp\"]\n"), `agrees."mail": no such label`},
		{"agrees with nothing", manifest("[agrees]\n", "[agrees]\nshell = []\n"), `agrees."shell": no name`},
		{"agrees with no name", manifest("[agrees]\n", "[agrees]\nshell = [\"SSH\"]\n"), `agrees."shell": "SSH": use a name as Zeek's`},
		{"agrees with two in one", manifest("[agrees]\n", "[agrees]\nshell = [\"ssh,dns\"]\n"), `agrees."shell": "ssh,dns": use a name as Zeek's`},
		{"agrees twice", manifest("[agrees]\n", "[agrees]\nshell = [\"ssh\", \"ssh\"]\n"), `agrees."shell": "ssh" is listed twice`},
		{"agrees with too much", manifest("[agrees]\n", "[agrees]\nshell = [\""+manyNames(9)+"\"]\n"), `agrees."shell": 296 bytes of names: at most 256`},
		{"an alarm that is no label", manifest("labels = [", "alarms = [\"x\"]\nlabels = ["), "alarms[0]: \"x\" is not among the labels"},
		{"an alarm twice", manifest("labels = [", "alarms = [\"dns\", \"dns\"]\nlabels = ["), "alarms[1]: \"dns\" is listed twice"},
		{"a background that is no label", manifest("labels = [", "background = \"x\"\nlabels = ["), "background: \"x\" is not among the labels"},
		{"a background that is an alarm", manifest("labels = [", "alarms = [\"dns\"]\nbackground = \"dns\"\nlabels = ["), "\"dns\" is the background and cannot be an alarm"},
		{"a budget below zero", manifest("[files]", "[calibration]\nbudget = -1.0\n[files]"), "calibration.budget: -1: a number of 10,000 flows"},
		{"what is shown of no alarm", manifest("[files]", "[[calibration.alarm]]\nlabel = \"dns\"\n[files]"), "calibration.alarm[0]: \"dns\" is not among the alarms"},
		{"too many packets", manifest("packets = 3", "packets = 1000"), "features.packets: 1000: give 1 to 64"},
		{"stage beyond features", manifest("packets = 3", "packets = 2"), "more than features.packets"},
		{"mask", manifest("masks = [", "masks = [\"faces\", "), "features.masks"},
		{"protocol", manifest("[features]\n", "[features]\nprotocols = [\"tpc\"]\n"), "features.protocols[0]: \"tpc\": use tcp"},
		{"quiet", manifest("[features]\n", "[features]\nquiet = -1\n"), "features.quiet: -1: give seconds"},
		{"kind", manifest(`kind = "lightgbm"`, `kind = "xgboost"`), `packet.stage[0].kind: "xgboost"`},
		{"confidence", manifest(`confidence = "max_probability"`, `confidence = "gut"`), "packet.stage[0].confidence"},
		{"model that is not listed", manifest(`model = "fast.txt"`, `model = "other.txt"`), "not listed under [files]"},
		{"digest", manifest("sha256:", "sha1:"), "write sha256: and 64"},
		{"a file that is missing", func(_ *testing.T, f fstest.MapFS) { delete(f, "fast.txt") }, "fast.txt"},
		{"a file that was changed", func(t *testing.T, f fstest.MapFS) { edit(t, f, "fast.txt", "tree", "treE") }, "was changed or truncated"},
		{"a file outside", manifest("[files]", "[files]\n\"../x\" = \"sha256:"+strings.Repeat("0", 64)+"\""), `files: "../x": no stage names it; leave it out`},
		{"a model outside", func(_ *testing.T, f fstest.MapFS) {
			f[ManifestFile].Data = bytes.ReplaceAll(f[ManifestFile].Data, []byte("fast.txt"), []byte("../fast.txt"))
		}, "not a path inside the bundle"},
		{"a file that nothing needs", manifest("[files]", "[files]\n\"spare\" = \"sha256:"+strings.Repeat("0", 64)+"\""), `files: "spare": no stage names it; leave it out`},
		{"a file of a substitute that is none", manifest("[files]", "[files]\n\"without-payload/spare\" = \"sha256:"+strings.Repeat("0", 64)+"\""), `files: "without-payload/spare": no stage names it; leave it out`},
		{"a control character in a file's name", manifest("[files]", "[files]\n\"a\\u001b[31m\" = \"sha256:"+strings.Repeat("0", 64)+"\""), "a name has no control characters"},
		{"a label that no message can carry", manifest(`labels = [`, `labels = ["a\u009bb", `), "no control characters"},
		{"a task with an escape sequence", manifest("task = \"", "task = \"\\u001b]0;owned\\u0007"), "task: "},
		{"a task of two lines", manifest("task = \"", "task = \"one\\ntwo"), "task: "},
		{"a version that no message can carry", manifest(`version = "`, `version = "`+strings.Repeat("1", 300)), "version: with the name it has "},
		{"a target that is no number", manifest("[files]", "[calibration]\ntarget_error = nan\n[files]"), "calibration.target_error: NaN"},
		{"a target without headers that is no number", manifest("[files]", "[calibration]\nmeta_target_error = nan\n[files]"), "calibration.meta_target_error: NaN"},
		{"a delta that is no number", manifest("[files]", "[calibration]\ndelta = nan\n[files]"), "calibration.delta: NaN"},
		{"a recall that is no number", manifest("[files]", "[[calibration.alarm]]\nlabel = \"dns\"\nrecall = nan\n[files]"), "recall: NaN"},
		{"a proof that is no number", manifest("[files]", "[[calibration.alarm]]\nlabel = \"dns\"\nproven = nan\n[files]"), "calibration.alarm[0]: NaN"},
		{"a threshold that is no number", manifest("thresholds = [", "thresholds = [nan, "), "thresholds"},
		{"a deep key", manifest("[features]", strings.Repeat("a.", 10_000)+"a = 1\n[features]"), "nested more than 16 deep"},
		{"a model that is none", func(t *testing.T, f fstest.MapFS) {
			f["fast.txt"] = &fstest.MapFile{Data: []byte("forged")}
			sign(t, f, "fast.txt")
		}, "packet.stage[0] (fast.txt)"},
		{"golden rows that are not met", func(t *testing.T, f fstest.MapFS) {
			f["fast.txt.golden.json"] = f["slow.txt.golden.json"]
			sign(t, f, "fast.txt.golden.json")
		}, "golden rows"},
		{"a novelty profile", manifest("thresholds = [", "profile = \"p\"\nnovel = [1.0]\nthresholds = ["), "packet.stage.profile: bundles have no novelty profiles any more: make this one again"},
		{"a novelty value", manifest("thresholds = [", "novel = [1.0]\nthresholds = ["), "packet.stage.novel: bundles have no novelty profiles any more: make this one again"},
		{"one label more than the models", manifest(`labels = [`, `labels = ["x", `), "class"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			files := copyToy(t)
			test.change(t, files)
			b, err := Load(files, Options{})
			if err == nil {
				b.Close()
				t.Fatal("loaded")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q does not say %q", err, test.want)
			}
		})
	}
}

// withReference is the toy bundle with a reference for taps that send headers.
func withReference(t testing.TB) fstest.MapFS {
	t.Helper()
	files := copyToy(t)
	text := string(files[ManifestFile].Data) + `
[packet.reference]
scores = [0, 0, 0, 0, 0, 0, 0, 0, 50, 50]
labels = [10, 30, 30, 30]
stages = [60, 40]

[[packet.reference.feature]]
name = "p1_ipv4_ttl"
edges = [63.5, 64.0]
flows = [0, 10, 80, 10]

[[packet.reference.feature]]
name = "p3_payload"
edges = []
flows = [70, 30]
`
	files[ManifestFile] = &fstest.MapFile{Data: []byte(text)}
	return files
}

func TestReference(t *testing.T) {
	b, err := Load(withReference(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if b.PacketProfile == nil || b.MetaProfile != nil {
		t.Errorf("profiles %v and %v, want one for headers alone", b.PacketProfile, b.MetaProfile)
	}
	if slow := b.SlowOnly(); slow.PacketProfile != nil {
		t.Error("the slow model alone is measured by what the cascade does")
	}
}

// TestRefusesReferences: see package drift for what else is refused.
func TestRefusesReferences(t *testing.T) {
	for name, test := range map[string]struct{ old, new, want string }{
		"no number":        {"edges = [63.5", "edges = [nan", "packet.reference: feature[0].edges: [0]: NaN"},
		"negative":         {"stages = [60, 40]", "stages = [160, -60]", "packet.reference: stages: [1]: -60"},
		"a share":          {"stages = [60, 40]", "stages = [0.6, 0.4]", "incompatible types"},
		"a stage more":     {"stages = [60, 40]", "stages = [60, 30, 10]", "packet.reference: stages: 3 numbers: give 2"},
		"another feature":  {"p1_ipv4_ttl", "p1_ipv4_colour", `packet.reference: feature[0].name: "p1_ipv4_colour"`},
		"a packet too far": {"p3_payload", "p4_payload", "uses packet 4 of 3"},
		"headers for META": {"packet.reference", "meta.reference", `meta.reference: feature[0].name: "p1_ipv4_ttl" needs headers`},
		"an unknown field": {"[packet.reference]", "[packet.reference]\nmood = 1", "packet.reference.mood: no such field"},
	} {
		t.Run(name, func(t *testing.T) {
			files := withReference(t)
			text := strings.ReplaceAll(string(files[ManifestFile].Data), test.old, test.new)
			files[ManifestFile] = &fstest.MapFile{Data: []byte(text)}
			b, err := Load(files, Options{})
			if err == nil {
				b.Close()
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestReferenceOfNothing(t *testing.T) {
	files := withReference(t)
	text := string(files[ManifestFile].Data)
	from, to := strings.Index(text, "[[meta.stage]]"), strings.Index(text, "[provenance]")
	text = strings.ReplaceAll(text[:from]+text[to:], "packet.reference", "meta.reference")
	files[ManifestFile] = &fstest.MapFile{Data: []byte(text)}
	if _, err := Load(files, Options{}); err == nil || !strings.Contains(err.Error(), "meta.reference: there is no [[meta.stage]]") {
		t.Errorf("error %v", err)
	}
}

func TestAllMistakesAtOnce(t *testing.T) {
	files := copyToy(t)
	edit(t, files, ManifestFile, `name = "toy"`, `name = ""`)
	edit(t, files, ManifestFile, `kind = "lightgbm"`, `kind = ""`)
	_, err := Load(files, Options{})
	if err == nil || !strings.Contains(err.Error(), "name:") || !strings.Contains(err.Error(), "kind:") {
		t.Errorf("error %v does not name both", err)
	}
}

func TestOpen(t *testing.T) {
	b, err := Open(toy, Options{})
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
	for name, want := range map[string]string{
		"no-such-bundle":   "name one of channel, iot-device",
		"./no-such-folder": "name one of channel, iot-device",
		"bundle_test.go":   "neither a directory nor an archive",
		".":                "no manifest.toml: not a bundle",
	} {
		if _, err := Open(name, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", name, err, want)
		}
	}
}

// A bundle's files are read only if they are files, and none is waited for.
func TestOpenReadsFilesAlone(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"a FIFO":      func(path string) error { return unix.Mkfifo(path, 0o600) },
		"a directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"a device":    func(path string) error { return os.Symlink("/dev/zero", path) },
		"a link to a FIFO": func(path string) error {
			return errors.Join(unix.Mkfifo(path+".fifo", 0o600), os.Symlink(path+".fifo", path))
		},
	} {
		for _, file := range []string{ManifestFile, "fast.txt", "fast.txt" + GoldenSuffix} {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(toy)); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, file)
			if err := errors.Join(os.Remove(path), change(path)); err != nil {
				t.Fatal(err)
			}
			refused := make(chan error, 1)
			go func() {
				_, err := Open(dir, Options{})
				refused <- err
			}()
			select {
			case err := <-refused:
				if err == nil || !strings.Contains(err.Error(), file+": not a regular file") {
					t.Errorf("%s for %s: %v", name, file, err)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("%s for %s: it waits", name, file)
			}
		}
	}
}

// Files are measured together before one of them is read; holes count.
func TestOpenMeasuresFirst(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(toy)); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"fast.txt", "slow.txt", "fast.txt" + GoldenSuffix} {
		if err := os.Truncate(filepath.Join(dir, file), 200<<20); err != nil {
			t.Fatal(err)
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Open(dir, Options{})
	runtime.ReadMemStats(&after)
	if err == nil || !strings.Contains(err.Error(), "the files have 600 MiB in total") {
		t.Error(err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 32<<20 {
		t.Errorf("it took %d MiB to refuse them", took>>20)
	}
}

// TestShipped loads the bundles that come with the program.
func TestShipped(t *testing.T) {
	b, err := Open("iot-device", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if b.Packet == nil || b.Meta == nil {
		t.Error("a cascade is missing")
	}
}

// BenchmarkLoad loads the bundles that come with the program.
func BenchmarkLoad(b *testing.B) {
	for _, name := range models.Names() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				one, err := Open(name, Options{})
				if err != nil {
					b.Fatal(err)
				}
				if err := one.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func FuzzManifest(f *testing.F) {
	text, err := os.ReadFile(filepath.Join(toy, ManifestFile))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(withReference(f)[ManifestFile].Data)
	f.Add([]byte("name = 1\n[[packet.stage]]\nthresholds = [nan, inf, -1]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		files := copyToy(t)
		files[ManifestFile] = &fstest.MapFile{Data: text}
		if b, err := Load(files, Options{}); err == nil {
			b.Close()
		}
	})
}
