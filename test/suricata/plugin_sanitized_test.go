package suricata

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"serveflow/test/engine"
)

func TestSuricata7PluginSanitized(t *testing.T) { sanitized(t, labelling7()) }

func TestSuricata8PluginSanitized(t *testing.T) { sanitized(t, suricata8(t).with("plugin")) }

func TestLive7PluginSanitized(t *testing.T) { sanitizedLive(t, labelling7()) }

func TestLive8PluginSanitized(t *testing.T) { sanitizedLive(t, suricata8(t).with("plugin")) }

// sanitizedLive: the same in a live Suricata that takes other rules, beside a sidecar
// that is killed.
func sanitizedLive(t *testing.T, e suricata) {
	if e.ownNetwork(t) {
		reloaded(t, e.sanitize(t), true)
	}
}

// sanitized: the plugin in the real Suricata under the address and the undefined
// behaviour sanitizer, whose finding ends the process.
func sanitized(t *testing.T, e suricata) {
	e.need(t)
	e = e.sanitize(t)
	t.Run("captures", func(t *testing.T) {
		s := engine.Start(t, filepath.Join(engine.Root(t), "test/bundle/toy"), "")
		for i, c := range engine.Committed(t) {
			if _, said := e.run(t, c, []int{1, 4}[i%2], s.Socket, c.Name); !strings.Contains(said, "the sidecar wants") {
				t.Errorf("%s: it did not find the sidecar:\n%s", c.Name, said)
			}
		}
		s.Stop(t)
		if len(s.Decisions(t)) < 50 {
			t.Errorf("%d flows were decided", len(s.Decisions(t)))
		}
	})
	t.Run("rules", func(t *testing.T) { ruled(t, e) })
	t.Run("absent", func(t *testing.T) {
		for _, c := range engine.Committed(t)[:3] {
			e.run(t, c, 2, filepath.Join(t.TempDir(), "nobody"), "")
		}
	})
}

// sanitize is the engine with the plugin built for the sanitizers.
func (e suricata) sanitize(t *testing.T) suricata {
	t.Helper()
	dir := t.TempDir()
	build := exec.Command("make", "-C", filepath.Join(engine.Root(t), "suricata-lua/plugin"), "BUILD="+dir,
		"CXXFLAGS=-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined", "LINKFLAGS=-shared -pthread")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	e.built = filepath.Join(dir, "serveflow.so")
	e.env = []string{"LD_PRELOAD=" + library(t, "libasan.so") + " " + library(t, "libubsan.so"), "ASAN_OPTIONS=detect_leaks=0"}
	return e
}

// library is where the compiler has a library of its own.
func library(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("g++", "-print-file-name="+name).Output()
	path := strings.TrimSpace(string(out))
	if err != nil || !filepath.IsAbs(path) {
		t.Skipf("SKIPPED: no %s here", name)
	}
	path, err = filepath.EvalSymlinks(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
