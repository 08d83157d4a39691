package suricata

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"serveflow/test/engine"
)

// withoutTables is a library that gives a program no memory in huge pages.
const withoutTables = `#include <stdlib.h>
void* aligned_alloc(size_t alignment, size_t size) {
    void* memory = NULL;
    return alignment < 1 << 21 && posix_memalign(&memory, alignment, size) == 0 ? memory : NULL;
}
`

func TestSuricata7PluginNoMemory(t *testing.T) {
	noMemory(t, suricata{version: "7", command: "suricata", tap: "plugin", args: []string{"--set", "serveflow.labels=yes"}})
}

func TestSuricata8PluginNoMemory(t *testing.T) { noMemory(t, suricata8(t).with("plugin")) }

// noMemory: a plugin that gets no memory for its labels says so, labels nothing, and
// disturbs nothing.
func noMemory(t *testing.T, e suricata) {
	e.need(t)
	dir := t.TempDir()
	source, library := filepath.Join(dir, "memory.c"), filepath.Join(dir, "memory.so")
	if err := os.WriteFile(source, []byte(withoutTables), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gcc", "-shared", "-fPIC", "-o", library, source).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v: %s", err, out)
	}
	capture := engine.Committed(t)[0]
	plain, _ := e.with("none").run(t, capture, 1, "", "")
	t.Setenv("LD_PRELOAD", library)
	e.faults = true
	eve, said := e.run(t, capture, 1, filepath.Join(dir, "nobody"), "")
	if want := "there is no memory for the table of labels: no flow will be labelled"; !strings.Contains(said, want) {
		t.Errorf("it does not say %q:\n%s", want, said)
	}
	if got, want := starts(t, eve), starts(t, plain); got != want {
		t.Errorf("flows\n%swithout the plugin\n%s", got, want)
	}
}
