// Package program builds serveflow for tests that run it.
package program

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Main builds the program from the sources below root, tells where it is in
// path, runs the tests, and returns their exit code: what TestMain gives to
// os.Exit.
func Main(m *testing.M, root string, path *string) int {
	dir, err := os.MkdirTemp("", "serveflow-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	*path = filepath.Join(dir, "serveflow")
	build := exec.Command("go", "build", "-o", *path, "./cmd/serveflow")
	build.Dir, build.Stdout, build.Stderr = root, os.Stdout, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building serveflow:", err)
		return 1
	}
	return m.Run()
}
