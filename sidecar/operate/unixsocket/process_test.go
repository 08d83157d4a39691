package unixsocket

import (
	"os"
	"os/exec"
	"strconv"
	"testing"
)

func TestStarted(t *testing.T) {
	mine := Started(os.Getpid())
	if n, err := strconv.ParseUint(mine, 10, 64); err != nil || n == 0 {
		t.Errorf("this process was started at %q", mine)
	}
	if Started(os.Getpid()) != mine {
		t.Error("a process is started once")
	}
	other := exec.Command("sleep", "60")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	if s := Started(other.Process.Pid); s == "" {
		t.Error("another process is not seen")
	}
	other.Process.Kill()
	other.Wait()
	if s := Started(other.Process.Pid); s != "" {
		t.Errorf("a process that has ended was started at %q", s)
	}
}
