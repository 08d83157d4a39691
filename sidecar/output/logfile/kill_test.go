package logfile

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestMain plays the process that is killed, when asked to.
func TestMain(m *testing.M) {
	if path := os.Getenv("LOGFILE_TEST_WRITER"); path != "" {
		l, err := Open(path, Options{})
		if err != nil {
			panic(err)
		}
		for i := 0; ; i += 10 {
			l.write(numbered(i, 10))
			time.Sleep(10 * time.Microsecond)
		}
	}
	os.Exit(m.Run())
}

// A process that is killed while it writes leaves whole records, in order and
// without a gap, to the one that comes after it.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	self, err := os.Executable()
	must(t, err)
	writer := exec.Command(self)
	writer.Env = append(os.Environ(), "LOGFILE_TEST_WRITER="+path)
	must(t, writer.Start())
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if info, err := os.Stat(path); err == nil && info.Size() > 100_000 {
			break
		}
		if time.Now().After(deadline) {
			writer.Process.Kill()
			t.Fatal("the writer wrote nothing")
		}
	}
	must(t, writer.Process.Kill())
	writer.Wait()

	// What the kernel has not cut, cut here.
	info, err := os.Stat(path)
	must(t, err)
	must(t, os.Truncate(path, info.Size()-5))
	l := mustOpen(t, path, Options{}, nil)
	if l.Repaired() == 0 {
		t.Error("nothing was repaired")
	}
	n := len(flows(t, path))
	l.write(numbered(n, 10))
	must(t, l.Close())
	inOrder(t, flows(t, path), 0, n+10)
}
