package ingest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"serveflow/sidecar/tap/wire"
)

// holdVar tells this test's program, run again, which socket to connect to and how
// often.
const holdVar, holdCount = "SERVEFLOW_TEST_HOLD", "SERVEFLOW_TEST_HOLD_COUNT"

func TestMain(m *testing.M) {
	if path := os.Getenv(holdVar); path != "" {
		hold(path)
		return
	}
	os.Exit(m.Run())
}

// hold opens connections, of which every other says HELLO, and keeps them until its
// standard input ends. For each that is closed meanwhile it prints the error's code.
func hold(path string) {
	n, _ := strconv.Atoi(os.Getenv(holdCount))
	for i := range n {
		c, err := net.Dial("unix", path)
		if err != nil {
			fmt.Println("dial", err)
			return
		}
		if i%2 == 0 {
			wire.NewEncoder(c).Hello(&wire.Hello{Sensor: "silent"})
		}
		go func() {
			in := wire.NewDecoder(c)
			for {
				var m wire.Message
				if in.Next(&m) != nil {
					return
				}
				if m.Kind == wire.KindError {
					fmt.Println("code", int(m.Code))
				}
			}
		}()
	}
	fmt.Println("holds")
	io.Copy(io.Discard, os.Stdin)
}

// TestNobodyIsLockedOut: a process that holds all connections and is silent loses some
// to another process, of the same user even, and hears why.
func TestNobodyIsLockedOut(t *testing.T) {
	const most = 32
	r := start(t, func(o *Options) { o.MaxConnections, o.HelloTimeout = most, time.Minute })
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), holdVar+"="+r.path, holdCount+"="+strconv.Itoa(most))
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); c.Wait() })
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "holds" {
		t.Fatalf("the other process says %q", lines.Text())
	}
	for until := time.Now().Add(5 * time.Second); r.Peers() < most && time.Now().Before(until); {
		time.Sleep(time.Millisecond)
	}
	for range 4 {
		r.hello(wire.Hello{Sensor: "late"})
		if !lines.Scan() || lines.Text() != fmt.Sprint("code ", int(wire.CodeLimit)) {
			t.Fatalf("the other process says %q", lines.Text())
		}
	}
	for until := time.Now().Add(5 * time.Second); r.Peers() > most && time.Now().Before(until); {
		time.Sleep(time.Millisecond)
	}
	if n := r.Peers(); n != most {
		t.Errorf("%d connections are open", n)
	}
}

// TestSyncedThatNobodyReads: a live tap that asks for SYNCED without end and reads
// none fills no memory.
func TestSyncedThatNobodyReads(t *testing.T) {
	r := start(t, nil)
	c := r.hello(wire.Hello{})
	c.SetWriteDeadline(time.Now().Add(2 * time.Minute))
	var many bytes.Buffer
	for e := wire.NewEncoder(&many); many.Len() < 64<<10; {
		e.Sync(1<<60, false)
	}
	var err error
	for sent := 0; err == nil; sent += many.Len() {
		if _, err = c.UnixConn.Write(many.Bytes()); sent > 32<<20 {
			t.Fatal("32 MiB were taken")
		}
	}
	for until := time.Now().Add(10 * time.Second); r.Peers() > 0 && time.Now().Before(until); {
		time.Sleep(time.Millisecond)
	}
	if r.Peers() > 0 {
		t.Errorf("the connection is open after %v", err)
	}
}

// TestRunsOfTwoContainers: processes that both take themselves for number 1 read two
// captures, unless they name one run.
func TestRunsOfTwoContainers(t *testing.T) {
	one, other := &peer{pid: os.Getpid()}, &peer{pid: os.Getppid()}
	h := &wire.Hello{PID: 1}
	if one.runName(h) == other.runName(h) {
		t.Errorf("both runs are %q", one.runName(h))
	}
	if one.runName(h) != one.runName(&wire.Hello{PID: 1}) {
		t.Error("two connections of one process are two runs")
	}
	h.Run = "a1b2"
	if one.runName(h) != other.runName(h) {
		t.Error("a run that has a name is not one")
	}
}
