package doctor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"serveflow/sidecar"
	"serveflow/sidecar/bundle"
	"serveflow/sidecar/operate/config"
	"serveflow/sidecar/operate/doctor"
	"serveflow/sidecar/operate/telemetry"
	"serveflow/sidecar/tap/wire"
)

func TestMain(m *testing.M) {
	if socket, name, ok := strings.Cut(os.Getenv(tapVariable), " "); ok {
		if _, err := connect(socket, wire.Hello{Version: wire.Version, Engine: name, EngineVersion: "8.0.8", Sensor: name}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		io.Copy(io.Discard, os.Stdin) // until the test closes it
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// patient is a sidecar with the toy bundle, beside a machine of the test's own.
type patient struct {
	t *testing.T
	doctor.Options
	metrics *telemetry.Metrics
	dump    string // of Suricata's configuration
}

// twoOf connects two processes of an engine that call themselves by its name.
func twoOf(engine string) func(p *patient) {
	return func(p *patient) {
		for range 2 {
			tap := exec.Command(os.Args[0])
			tap.Env = append(os.Environ(), tapVariable+"="+p.Config.Listen.Socket+" "+engine)
			in, err := tap.StdinPipe()
			if err != nil {
				p.t.Fatal(err)
			}
			if err := tap.Start(); err != nil {
				p.t.Fatal(err)
			}
			p.t.Cleanup(func() { in.Close(); tap.Wait() })
		}
	}
}

func well(t *testing.T, change func(*config.Config)) *patient {
	t.Helper()
	toy, err := bundle.Open("../../../test/bundle/toy", bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	c := config.Default()
	c.Listen.Socket, c.Labels.Path = filepath.Join(dir, "taps.sock"), filepath.Join(dir, "labels.jsonl")
	c.EVE.Output = filepath.Join(dir, "eve.json")
	if change != nil {
		change(&c)
	}
	s, err := sidecar.Start(sidecar.Options{Config: c, Bundle: toy, Version: "1.2.3", Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s.Metrics.Handler(s.Health))
	t.Cleanup(func() {
		server.Close()
		s.Stop(context.Background())
		toy.Close()
	})
	c.Telemetry.Listen = server.Listener.Addr().String()
	p := &patient{t: t, metrics: s.Metrics, Options: doctor.Options{
		Config: c, Bundle: toy.Name(), Version: "1.2.3", Proc: filepath.Join(dir, "proc"), Now: time.Now,
	}}
	p.write("sys/net/core/wmem_default", "4194304\n")
	p.Dump = func(context.Context, string, ...string) ([]byte, error) { return []byte(p.dump), nil }
	return p
}

func (p *patient) write(file, text string) {
	p.t.Helper()
	path := filepath.Join(p.Proc, file)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		p.t.Fatal(err)
	}
}

// runs has an IDS run as somebody.
func (p *patient) runs(comm string, uid, gid int, groups, cmdline string) {
	p.write("4711/comm", comm+"\n")
	p.write("4711/status", fmt.Sprintf("Name:\t%s\nUid:\t0\t%d\t%[2]d\t%[2]d\nGid:\t0\t%d\t%[3]d\t%[3]d\nGroups:\t%s\n", comm, uid, gid, groups))
	p.write("4711/cmdline", strings.ReplaceAll(cmdline, " ", "\x00")+"\x00")
}

func dial(socket string) (net.Conn, error) {
	conn, err := net.Dial("unix", socket)
	if err == nil {
		held = append(held, conn)
	}
	return conn, err
}

func connect(socket string, hello wire.Hello) (*wire.Encoder, error) {
	conn, err := dial(socket)
	if err != nil {
		return nil, err
	}
	e := wire.NewEncoder(conn)
	if err := e.Hello(&hello); err != nil {
		return nil, err
	}
	_, err = conn.Read(make([]byte, 1)) // of WELCOME
	return e, err
}

// tap connects one that has sent a packet of the given time.
func (p *patient) tap(sensor string, sent time.Time) {
	p.t.Helper()
	e, err := connect(p.Config.Listen.Socket, wire.Hello{Version: wire.Version, Engine: "suricata", EngineVersion: "8.0.8", Sensor: sensor})
	if err != nil {
		p.t.Fatal(err)
	}
	for range 2 { // what was read is counted when reading goes on
		if err := e.Packet(&wire.Message{Flow: wire.UintID(1), Time: sent.UnixMicro(), OrigPkts: 1, Link: 101, Raw: []byte{0x45}}); err != nil {
			p.t.Fatal(err)
		}
	}
}

// await examines until a finding is there, as what a tap sends takes its time.
func (p *patient) await(level doctor.Level, text, do string) {
	p.t.Helper()
	var all []doctor.Finding
	for until := time.Now().Add(10 * time.Second); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		all = doctor.Examine(p.t.Context(), p.Options)
		for _, f := range all {
			if f.Level == level && strings.Contains(f.Text, text) && strings.Contains(f.Do, do) {
				return
			}
		}
	}
	var shown strings.Builder
	doctor.Write(&shown, all)
	p.t.Errorf("no finding %v %q with %q in\n%s", level, text, do, &shown)
}

// shadowed has a shadow decide.
func (p *patient) shadowed(name string) *telemetry.Shadow {
	p.Shadow = name
	counts := telemetry.NewShadow(telemetry.Options{}, func() int { return 0 })
	p.metrics.ReadShadow(func() *telemetry.Shadow { return counts })
	p.metrics.ReadStatus(func() telemetry.Status {
		return telemetry.Status{Version: "1.2.3", Bundle: p.Bundle, Shadow: name, Taps: []telemetry.TapStatus{{Engine: "zeek", Welcomed: true}}}
	})
	return counts
}

// goodDump is how Suricata reads a configuration that is right for a patient.
func (p *patient) goodDump() string {
	return "plugins = (null)\nplugins.0 = /usr/lib/serveflow/suricata/serveflow.so\nserveflow.socket = " + p.Config.Listen.Socket +
		"\noutputs.3 = eve-log\noutputs.3.eve-log.enabled = yes\noutputs.3.eve-log.filetype = unix_stream\noutputs.3.eve-log.filename = " + p.Config.EVE.Listen + "\n"
}

func withEVE(c *config.Config) {
	c.EVE.Listen = filepath.Join(filepath.Dir(c.Listen.Socket), "eve.sock")
}
