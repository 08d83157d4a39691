package sidecar

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/output/decision"
	"serveflow/sidecar/replay"
	"serveflow/sidecar/tap/wire"
)

type discard struct{}

func (discard) Write([]decision.Record) {}

// BenchmarkSocket plays packets of real flows over the socket to a sidecar with
// the bundle that ships, flow ids renewed in every round, and reads the labels.
// It takes the data folder's captures of devices if they are there, else those
// of the repository. CPU time is that of both ends of the socket.
func BenchmarkSocket(b *testing.B) {
	events := loadEvents(b)
	loaded, err := bundle.Open("iot-device", bundle.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer loaded.Close()
	s, err := StartPrivate(loaded, true, discard{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Stop(context.Background())
	conn, err := net.Dial("unix", s.Socket)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	out := bufio.NewWriterSize(conn, 64<<10)
	encode := wire.NewEncoder(out)
	synced := make(chan error)
	go func() {
		in := wire.NewDecoder(conn)
		var m wire.Message
		for {
			if err := in.Next(&m); err != nil || m.Kind == wire.KindSynced {
				synced <- err
				return
			}
		}
	}()
	encode.Hello(&wire.Hello{Engine: "bench", Sensor: "bench", Capture: true, Reply: true})
	b.ReportAllocs()
	cpu, flows, base, k := cpuTime(), 0, uint64(0), 0
	for b.Loop() {
		m := events[k]
		id := base + m.Flow.Uint()
		m.Flow = wire.UintID(id)
		if m.Kind == wire.KindEnd {
			flows++
			err = encode.End(m.Flow, m.Time)
		} else {
			err = encode.Packet(&m)
		}
		if err != nil {
			b.Fatal(err)
		}
		if k++; k == len(events) {
			k, base = 0, base+1<<20
		}
	}
	encode.Sync(1, true)
	if err := out.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := <-synced; err != nil && err != io.EOF {
		b.Fatal(err)
	}
	seconds := (cpuTime() - cpu).Seconds()
	b.ReportMetric(float64(b.N)/seconds, "events/cpu-s")
	b.ReportMetric(float64(flows)/seconds, "flows/cpu-s")
}

// loadEvents are the messages that a tap sends of some captures.
func loadEvents(b *testing.B) (events []wire.Message) {
	b.Helper()
	data := os.Getenv("SERVEFLOW_DATA")
	if data == "" {
		data = filepath.Join("..", "..", "shared", "data")
	}
	paths, err := filepath.Glob(filepath.Join(data, "iot-device", "pcap", "*-STA.pcap.zst"))
	if err != nil {
		b.Fatal(err)
	}
	if len(paths) == 0 {
		if paths, err = filepath.Glob("../test/captures/*.pcap"); err != nil {
			b.Fatal(err)
		}
	}
	base := uint64(0)
	for _, path := range paths {
		source, err := replay.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		flows := replay.NewFlows(source, replay.Options{IgnoreChecksums: true})
		var ev replay.Event
		last := base
		for flows.Next(&ev) == nil {
			m := wire.Message{Kind: wire.KindEnd, Flow: wire.UintID(base + ev.Flow), Time: ev.Time}
			last = max(last, base+ev.Flow)
			if ev.Kind == replay.PacketEvent {
				if ev.OrigPkts+ev.RespPkts > 10 {
					continue
				}
				m.Kind, m.Dir, m.OrigPkts, m.RespPkts = wire.KindPacket, uint8(ev.Dir), ev.OrigPkts, ev.RespPkts
				m.Link, m.WireLen = uint32(ev.Link), uint32(ev.WireLen)
				m.Raw = append([]byte(nil), ev.Frame[:min(len(ev.Frame), 192)]...)
			}
			events = append(events, m)
		}
		source.Close()
		base = last
	}
	return events
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
