// Package e2e runs the sidecar as people do, as a process, and treats it badly:
// it is killed, told to stop while it works, has its log taken away, and is
// talked to by taps that break every rule.
package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const (
	root     = "../.."
	toy      = root + "/test/bundle/toy"
	captures = root + "/test/captures"
)

// serveflow is the program, built for the tests.
var serveflow string

func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "serveflow-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	serveflow = filepath.Join(dir, "serveflow")
	build := exec.Command("go", "build", "-o", serveflow, "./cmd/serveflow")
	build.Dir, build.Stdout, build.Stderr = root, os.Stdout, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building serveflow:", err)
		return 1
	}
	return m.Run()
}
