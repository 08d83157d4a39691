package eve

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"serveflow/sidecar/output/logfile"
)

// flood sends more than any buffer holds, as fast as it is read, and fails if
// reading stops. It returns the number of records.
func (r *rig) flood() int {
	r.t.Helper()
	line := strings.Repeat("x", 64<<10) // no record, which is faster to read
	conn := r.dial()
	defer conn.Close()
	const n = 2*defaultMemory/shares/2/(64<<10) + 200
	for range n {
		conn.SetWriteDeadline(time.Now().Add(20 * time.Second))
		if _, err := fmt.Fprintln(conn, line); err != nil {
			r.t.Fatal("reading has stopped: ", err)
		}
	}
	return n
}

// TestUnfinishedRecords: 64 connections with a record of 15 MiB each that does not end
// take what the budget has, the records over it are counted, and short ones get
// through; when the connections have gone, all of it is there again.
func TestUnfinishedRecords(t *testing.T) {
	r := start(t, func(o *Options) { o.Memory = 30 << 20 })
	part := []byte(`{"timestamp":"` + strings.Repeat("x", 64<<10))
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	var conns []net.Conn
	for range 64 {
		conn := r.dial()
		conn.SetWriteDeadline(time.Now().Add(time.Minute))
		for range 240 {
			if _, err := conn.Write(part); err != nil {
				t.Fatal(err)
			}
		}
		conns = append(conns, conn)
	}
	r.send(stats)
	r.want(stats)
	if used := int64(heap() - before); used > 60<<20 { // 10 MiB, twice in use while they grow, and the buffers
		t.Errorf("%d MiB are used", used>>20)
	}
	for _, conn := range conns {
		conn.Close()
	}
	r.until("the budget is whole again", func() bool {
		if !r.incoming.Take(10 << 20) {
			return false
		}
		r.incoming.Give(10 << 20)
		return true
	})
	n := -1
	for line := range strings.Lines(r.scrape()) {
		fmt.Sscanf(line, `serveflow_eve_records_total{result="too_long"} %d`, &n)
	}
	if n < 50 || n > 64 {
		t.Errorf("%d records were too long", n)
	}
}

// Whatever the output is and does, what Suricata sends is read. What is lost
// is counted, and said.
func TestReadingNeverStops(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, o *Options){
		"full disk": func(t *testing.T, o *Options) { o.Output = "/dev/full" },
		"FIFO that nobody reads": func(t *testing.T, o *Options) {
			if err := syscall.Mkfifo(o.Output, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"socket that nobody listens on": func(t *testing.T, o *Options) { o.Output = logfile.Socket + o.Output },
		"socket that nobody reads": func(t *testing.T, o *Options) {
			l, err := net.Listen("unix", o.Output)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			o.Output = logfile.Socket + o.Output
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, func(o *Options) { prepare(t, o) })
			n := int64(r.flood())
			r.stopped = true
			if err := r.Stop(); err != nil {
				t.Error(err)
			}
			before := time.Now()
			if r.Close() == nil {
				t.Error("everything was written")
			}
			if took := time.Since(before); took > 10*time.Second {
				t.Errorf("closing took %v", took)
			}
			s := r.Sink.out.Stats()
			if s.Dropped == 0 || s.Written+s.Dropped != n || s.Errors == 0 {
				t.Errorf("%+v of %d", s, n)
			}
		})
	}
}

// A shipper that goes away and comes back misses what its socket held when it
// went, and gets whole lines after that.
func TestShipperComesBack(t *testing.T) {
	var r *rig
	listen := func() net.Listener {
		os.Remove(r.out)
		l, err := net.Listen("unix", r.out)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	r = start(t, func(o *Options) { o.Output = logfile.Socket + o.Output })
	r.put(1)
	for range 2 {
		l := listen()
		r.send(alert(1), alert(2))
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(conn)
		for _, want := range []string{with(alert(1), 1), alert(2)} {
			if got, err := lines.ReadString('\n'); err != nil || got != want+"\n" {
				t.Fatalf("%q, %v; want %q", got, err, want)
			}
		}
		l.Close()
		conn.Close()
	}
}

// The file is rotated by its size, and by another program, after which it is reopened.
func TestRotation(t *testing.T) {
	r := start(t, func(o *Options) { o.MaxBytes, o.Keep = 64<<10, 100 })
	var want []string
	for i := range 1000 {
		want = append(want, fmt.Sprintf(`{"timestamp":"x","flow_id":%d,"x":%q}`, i, strings.Repeat("x", 300)))
	}
	r.send(want[:500]...)
	r.until("half of it", func() bool { return r.Sink.out.Stats().Written == 500 })
	if err := os.Rename(r.out, r.out+".mine"); err != nil {
		t.Fatal(err)
	}
	if err := r.Reopen(); err != nil {
		t.Fatal(err)
	}
	r.send(want[500:]...)
	r.end()
	var got []string
	files, err := os.ReadDir(r.out[:strings.LastIndexByte(r.out, '/')])
	if err != nil {
		t.Fatal(err)
	}
	parts := 0
	for _, f := range files {
		if !strings.HasPrefix(f.Name(), "eve.json") {
			continue
		}
		if info, err := f.Info(); err != nil || info.Size() > 64<<10 {
			t.Errorf("%s: %v, %d bytes", f.Name(), err, info.Size())
		}
		r.out = r.out[:strings.LastIndexByte(r.out, '/')+1] + f.Name()
		got = append(got, r.lines()...)
		parts++
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || parts < 5 {
		t.Errorf("%d lines in %d files, want %d", len(got), parts, len(want))
	}
}
