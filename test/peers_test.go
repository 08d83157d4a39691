package test

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// TestPeers runs the tests of test/peers that need no more than Python itself,
// and, where "make bench-peers" has made its environment, all of them.
func TestPeers(t *testing.T) {
	python, err := filepath.Abs(filepath.Join(root, "build/peers-venv/bin/python"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath(python); err != nil {
		if python, err = exec.LookPath("python3"); err != nil {
			t.Skip("there is no python3")
		}
	}
	c := exec.Command(python, "-B", "-m", "unittest", "discover", "-s", "test/peers")
	c.Dir = root
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v: %v\n%s", c, err, out)
	} else {
		t.Logf("%s", out)
	}
}
