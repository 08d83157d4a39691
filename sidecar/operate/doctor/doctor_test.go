package doctor_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"serveflow/sidecar/operate/config"
	"serveflow/sidecar/operate/doctor"
	"serveflow/sidecar/operate/telemetry"
	"serveflow/sidecar/tap/wire"
)

// tapVariable has the test binary be a tap, in a process of its own.
const tapVariable = "SERVEFLOW_DOCTOR_TAP"

// held are connections that stay open: one that nobody holds is closed with the garbage.
var held []net.Conn

// Where nothing is wrong, nothing is said to be.
func TestWell(t *testing.T) {
	p := well(t, withEVE)
	p.runs("Suricata-Main", 0, 0, "", "suricata -c /etc/suricata/other.yaml -i eth0")
	p.dump = p.goodDump()
	p.Dump = func(_ context.Context, program string, args ...string) ([]byte, error) {
		if got := program + " " + strings.Join(args, " "); got != "suricata --dump-config -c /etc/suricata/other.yaml" {
			t.Errorf("asked %q", got)
		}
		return []byte(p.dump), nil
	}
	p.tap("suricata", time.Now())
	if _, err := dial(p.Config.EVE.Listen); err != nil {
		t.Fatal(err)
	}
	p.await(doctor.OK, `suricata 8.0.8, process `, "")
	p.await(doctor.OK, "1 connections on", "")
	time.Sleep(100 * time.Millisecond) // the examination before is a connection no more
	for _, f := range doctor.Examine(t.Context(), p.Options) {
		if f.Level == doctor.Wrong && !strings.Contains(f.Text, "4711") { // which is none of ours
			t.Errorf("%+v", f)
		}
	}
}

// Faults made on purpose: each is named, with what to change.
func TestFaults(t *testing.T) {
	nobody := func(p *patient) { p.runs("Suricata-Main", 65534, 65534, "", "suricata -c /etc/suricata/suricata.yaml") }
	for name, c := range map[string]struct {
		change   func(*config.Config)
		harm     func(*patient)
		level    doctor.Level
		text, do string
	}{
		"no sidecar": {
			harm:  func(p *patient) { p.Config.Listen.Socket += "s" },
			level: doctor.Wrong, text: "taps.socks is not there", do: "systemctl start serveflow",
		},
		"a socket left behind": {
			harm: func(p *patient) {
				p.Config.Listen.Socket = filepath.Join(p.t.TempDir(), "left.sock")
				l, err := net.ListenUnix("unix", &net.UnixAddr{Name: p.Config.Listen.Socket})
				if err != nil {
					p.t.Fatal(err)
				}
				l.SetUnlinkOnClose(false)
				l.Close()
			},
			level: doctor.Wrong, text: "nobody answers on", do: "a new sidecar replaces the file",
		},
		"another program on the port": {
			harm: func(p *patient) {
				other := httptest.NewServer(nil)
				p.t.Cleanup(other.Close)
				p.Config.Telemetry.Listen = other.Listener.Addr().String()
			},
			level: doctor.Wrong, text: "/status answers 404: is it an older sidecar, or another program?", do: "restart",
		},
		"nobody on the port": {
			harm:  func(p *patient) { p.Config.Telemetry.Listen = "127.0.0.1:1" },
			level: doctor.Wrong, text: "nobody answers on 127.0.0.1:1", do: "give the doctor its configuration",
		},
		"an older program runs": {
			harm:  func(p *patient) { p.Version = "1.2.4" },
			level: doctor.Wrong, text: "version 1.2.3 runs, and 1.2.4 is installed", do: "systemctl restart serveflow",
		},
		"another bundle is served": {
			harm:  func(p *patient) { p.Bundle = "mine@2.0.0" },
			level: doctor.Wrong, text: "toy@1.0.0 is served, and the configuration names mine@2.0.0", do: "systemctl reload serveflow",
		},
		"no tap": {
			harm:  func(p *patient) { p.runs("zeek", 0, 0, "", "zeek -i eth0 local") },
			level: doctor.Wrong, text: "no IDS is connected", do: "the tap connects when Zeek sees the first packet",
		},
		"no HELLO": {
			harm: func(p *patient) {
				if _, err := dial(p.Config.Listen.Socket); err != nil {
					p.t.Fatal(err)
				}
			},
			level: doctor.Wrong, text: fmt.Sprintf("process %d of user %d is connected and has not said HELLO", os.Getpid(), os.Getuid()), do: "HELLO",
		},
		"a tap without packets": {
			harm: func(p *patient) {
				if _, err := connect(p.Config.Listen.Socket, wire.Hello{Version: wire.Version, Engine: "zeek", Sensor: "worker-1"}); err != nil {
					p.t.Fatal(err)
				}
			},
			level: doctor.Wrong, text: `sensor "worker-1": connected, and has sent no packet`, do: "its interface",
		},
		"a silent tap": {
			harm: func(p *patient) {
				p.tap("suricata", time.Now())
				p.Now = func() time.Time { return time.Now().Add(10 * time.Minute) }
			},
			level: doctor.Wrong, text: `sensor "suricata": silent for 10m`, do: "its own statistics",
		},
		"a wrong clock": {
			harm:  func(p *patient) { p.tap("suricata", time.Now().Add(-time.Hour)) },
			level: doctor.Wrong, text: "its packets are dated -1h0m0s from the sidecar's clock", do: "timedatectl set-ntp true",
		},
		"two Suricatas with one name": {
			harm:  twoOf("suricata"),
			level: doctor.Wrong, text: "calls itself the same: their flows are mixed up", do: "SERVEFLOW_SENSOR",
		},
		"two Zeeks with one name": {
			harm:  twoOf("zeek"),
			level: doctor.Wrong, text: "calls itself the same: their flows are mixed up", do: "redef ServeFlow::sensor = ",
		},
		"a Suricata that is too old": {
			harm: func(p *patient) {
				if _, err := connect(p.Config.Listen.Socket, wire.Hello{Version: wire.Version, Engine: "suricata", EngineVersion: "6.0.20", Sensor: "s"}); err != nil {
					p.t.Fatal(err)
				}
			},
			level: doctor.Note, text: "suricata 6.0.20, process", do: "use suricata 7.x or 8.x",
		},
		"another sensor": {
			change: withEVE,
			harm:   func(p *patient) { p.tap("sensor-2", time.Now()) },
			level:  doctor.Wrong, text: `eve.sensor is "suricata", and Suricata's tap calls itself "sensor-2"`, do: "[eve]\nsensor = \"sensor-2\"",
		},
		"no EVE": {
			change: withEVE, level: doctor.Wrong, text: "Suricata is not connected to", do: "filetype: unix_stream",
		},
		"small buffers": {
			change: withEVE,
			harm:   func(p *patient) { p.write("sys/net/core/wmem_default", "212992\n") },
			level:  doctor.Note, text: "net.core.wmem_default is 212992", do: "sysctl -w net.core.wmem_default=4194304",
		},
		"the socket is not for its user": {
			harm: nobody, level: doctor.Wrong, text: "(process 4711, user nobody, group nogroup) may not", do: "",
		},
		"not among allow_uids": {
			change: func(c *config.Config) { c.Listen.AllowUIDs = []uint32{0} },
			harm:   nobody,
			level:  doctor.Wrong, text: "is not among listen.allow_uids", do: "add 65534 to listen.allow_uids",
		},
		"run-as": {
			harm: func(p *patient) {
				p.runs("Suricata-Main", 0, 0, "", "suricata")
				p.dump = p.goodDump() + "run-as.user = nobody\n"
			},
			level: doctor.Wrong, text: "Suricata's run-as (user nobody, group nogroup, and no other group) may not", do: "",
		},
		"a run-as that there is not": {
			harm: func(p *patient) {
				p.runs("Suricata-Main", 0, 0, "", "suricata")
				p.dump = p.goodDump() + "run-as.user = no-such-user\n"
			},
			level: doctor.Wrong, text: "run-as: user no-such-user", do: "create the user",
		},
		"no tap in suricata.yaml": {
			harm:  func(p *patient) { p.runs("Suricata-Main", 0, 0, "", "suricata"); p.dump = "plugins = (null)\n" },
			level: doctor.Wrong, text: "/etc/suricata/suricata.yaml loads no tap", do: "serveflow.so",
		},
		"Lua is not permitted in rules": {
			harm: func(p *patient) {
				p.runs("Suricata-Main", 0, 0, "", "suricata")
				p.dump = "rule-files.0 = /etc/suricata/serveflow/serveflow.rules\nsecurity.lua.allow-rules = false\n"
			},
			level: doctor.Wrong, text: "Lua is not permitted in rules", do: "allow-rules: true",
		},
		"another socket in suricata.yaml": {
			harm: func(p *patient) {
				p.runs("Suricata-Main", 0, 0, "", "suricata")
				p.dump = "plugins.0 = /usr/lib/suricata/serveflow.so\n"
			},
			level: doctor.Wrong, text: "the plugin looks for /run/serveflow/serveflow.sock, and the sidecar listens on", do: "serveflow:\n  socket: ",
		},
		"no eve-log in suricata.yaml": {
			change: withEVE,
			harm: func(p *patient) {
				p.runs("Suricata-Main", 0, 0, "", "suricata")
				p.dump = strings.ReplaceAll(p.goodDump(), "unix_stream", "regular")
			},
			level: doctor.Wrong, text: "/etc/suricata/suricata.yaml has no eve-log for", do: "filename: ",
		},
		"an eve-log and no listener": {
			harm: func(p *patient) {
				p.runs("Suricata-Main", 0, 0, "", "suricata")
				p.dump = "outputs.3.eve-log.filetype = unix_stream\noutputs.3.eve-log.filename = /run/serveflow/eve.sock\n"
			},
			level: doctor.Wrong, text: "sends records to /run/serveflow/eve.sock, where nobody listens", do: `listen = "/run/serveflow/eve.sock"`,
		},
		"a suricata.yaml that Suricata refuses": {
			harm: func(p *patient) {
				p.runs("Suricata-Main", 0, 0, "", "suricata")
				p.Dump = func(context.Context, string, ...string) ([]byte, error) { return nil, errors.New("exit status 1") }
			},
			level: doctor.Note, text: "cannot be read by suricata: exit status 1", do: "--dump-config",
		},
		"shadow that is not there": {
			harm:  func(p *patient) { p.Shadow = "next@1.0.0" },
			level: doctor.Wrong, text: `"" decides beside the bundle that is served, and the configuration names "next@1.0.0"`, do: "reload",
		},
		"shadow that has failed": {
			harm: func(p *patient) {
				p.shadowed("next@1.0.0")
				p.metrics.Warn("shadow", []string{"shadow: next@1.0.0 has failed"})
			},
			level: doctor.Wrong, text: "next@1.0.0 has failed", do: "journalctl",
		},
		"shadow that has decided nothing": {
			harm:  func(p *patient) { p.shadowed("next@1.0.0") },
			level: doctor.Note, text: "next@1.0.0 has decided no flow", do: "wait",
		},
		"shadow that is well": {
			harm: func(p *patient) {
				a := p.shadowed("next@1.0.0").NewAgreement()
				a.Count("dns", telemetry.Agrees)
				a.Count("ssh", telemetry.Differs)
				a.Shed(7)
			},
			level: doctor.OK, text: "next@1.0.0 agrees on 50.0 % of 2 flows; 7 events were left out", do: "",
		},
		"drift": {
			harm: func(p *patient) {
				p.metrics.ReadDrift(func() []telemetry.Drift {
					return []telemetry.Drift{{Cascade: "packet", Flows: 5000, PSI: []telemetry.PSI{{Of: "feature:p1_len", Value: 9}, {Of: "label", Value: 1.5}}}}
				})
			},
			level: doctor.Wrong, text: "the labels of the flows are far from those that the bundle was calibrated on (PSI 1.50)", do: "docs/drift.md",
		},
		"a broken protocol": {
			harm: func(p *patient) {
				conn, err := dial(p.Config.Listen.Socket)
				if err != nil {
					p.t.Fatal(err)
				}
				conn.Write([]byte("GET / HTTP/1.0\r\n\r\n"))
			},
			level: doctor.Wrong, text: "1 connections were closed because they broke the protocol", do: "the log names the byte",
		},
		"a tap that drops": {
			harm: func(p *patient) {
				e, err := connect(p.Config.Listen.Socket, wire.Hello{Version: wire.Version, Engine: "zeek", EngineVersion: "8.0.10", Sensor: "zeek"})
				if err != nil {
					p.t.Fatal(err)
				}
				if err := e.Stats(time.Now().UnixMicro(), 100, 50); err != nil {
					p.t.Fatal(err)
				}
			},
			level: doctor.Wrong, text: "50 of its events were dropped", do: "more processor time",
		},
		"a refused reload": {
			harm:  func(p *patient) { p.metrics.Reloaded(telemetry.ReloadRefused) },
			level: doctor.Wrong, text: "the last reload was refused", do: "names the file",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := well(t, c.change)
			if c.harm != nil {
				c.harm(p)
			}
			p.await(c.level, c.text, c.do)
		})
	}
}

// A finding is printed in one piece, whatever is in it.
func TestWrite(t *testing.T) {
	var out strings.Builder
	wrong, err := doctor.Write(&out, []doctor.Finding{
		{Level: doctor.OK, Topic: "socket", Text: "s.sock"},
		{Level: doctor.Wrong, Topic: "tap", Text: "sensor \x1b[2J", Do: "[eve]\nsensor = \"a\""},
	})
	if err != nil || wrong != 1 {
		t.Errorf("%d, %v", wrong, err)
	}
	want := "ok      socket          s.sock\n" +
		"WRONG   tap             sensor \\x1b[2J\n                        do: [eve]\n                        sensor = \"a\"\n"
	if out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", &out, want)
	}
}

// A process that calls itself Suricata does not have the doctor, who may be root, run a
// program that others can change.
func TestImpostor(t *testing.T) {
	p := well(t, nil)
	p.Dump = nil
	p.runs("Suricata-Main", 1000, 1000, "", "suricata -c /etc/suricata/suricata.yaml")
	open := t.TempDir()
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	ran, impostor := filepath.Join(t.TempDir(), "ran"), filepath.Join(open, "suricata")
	if err := os.WriteFile(impostor, []byte("#!/bin/sh\n: > "+ran+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(impostor, filepath.Join(p.Proc, "4711/exe")); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if _, err := doctor.Write(&text, doctor.Examine(t.Context(), p.Options)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("it was run")
	}
	if !strings.Contains(text.String(), impostor+" was not asked how it reads /etc/suricata/suricata.yaml: it may be another program: others can change "+open) {
		t.Error(text.String())
	}
}

// Nor does it run another program of the system, with arguments that the process has.
func TestImpostorOfTheSystem(t *testing.T) {
	p := well(t, nil)
	p.Dump = nil
	p.runs("Suricata-Main", 1000, 1000, "", "suricata -c /tmp/mine")
	shell, err := filepath.EvalSymlinks("/bin/sh")
	if err != nil {
		t.Skip(err)
	}
	if err := os.Symlink(shell, filepath.Join(p.Proc, "4711/exe")); err != nil {
		t.Fatal(err)
	}
	p.await(doctor.Note, shell+" was not asked how it reads /tmp/mine: it may be another program: it is "+shell, "")
}

// A configuration's relative name is one in Suricata's working directory.
func TestRelativeConfiguration(t *testing.T) {
	p := well(t, nil)
	p.runs("Suricata-Main", 1000, 1000, "", "suricata -c here.yaml")
	if err := os.Symlink("/opt/suricata", filepath.Join(p.Proc, "4711/cwd")); err != nil {
		t.Fatal(err)
	}
	p.dump = p.goodDump()
	p.await(doctor.OK, "/opt/suricata/here.yaml", "")
}
