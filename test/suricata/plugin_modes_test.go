package suricata

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"serveflow/test/engine"
)

func plugin7() suricata { return suricata{version: "7", command: "suricata", tap: "plugin"} }

func TestSuricata7PluginBypass(t *testing.T) { bypassed(t, plugin7()) }

func TestSuricata8PluginBypass(t *testing.T) { bypassed(t, suricata8(t).with("plugin")) }

// bypassed: flows that Suricata stops to look at, once they are encrypted, have their
// decision.
func bypassed(t *testing.T, e suricata) {
	e.need(t)
	e.args = append(e.args[:len(e.args):len(e.args)], "--set", "stream.bypass=true", "--set", "app-layer.protocols.tls.encryption-handling=bypass")
	s := engine.Start(t, filepath.Join(engine.Root(t), "test/bundle/toy"), "")
	eve, _ := e.run(t, engine.Capture{Name: "tls", Path: filepath.Join(engine.Root(t), "test/captures/tls.pcap")}, 1, s.Socket, "bypass")
	s.Stop(t)
	if !bytes.Contains(eve, []byte(`"bypass":"local"`)) {
		t.Errorf("no flow was bypassed:\n%s", eve)
	}
	e.decided(t, eve, s.Decisions(t))
}

// decided wants a decision on every flow, and in 8 the label in its record.
func (e suricata) decided(t *testing.T, eve []byte, decisions []engine.Decision) {
	t.Helper()
	made := map[string]bool{}
	for _, d := range decisions {
		made[string(d.Flow)] = true
	}
	all := flows(t, eve)
	if len(all) == 0 {
		t.Error("no flows")
	}
	for _, f := range all {
		if !made[f.name()] {
			t.Errorf("no decision on %+v", f)
		}
	}
	if n := bytes.Count(eve, []byte(`"serveflow":{`)); e.version == "8" && n < len(all) {
		t.Errorf("%d labels in the records of %d flows", n, len(all))
	}
}

func TestSuricata7PluginTenants(t *testing.T) { tenants(t, plugin7()) }

func TestSuricata8PluginTenants(t *testing.T) { tenants(t, suricata8(t).with("plugin")) }

// tenants: with one tenant for each VLAN, flows have their labels.
func tenants(t *testing.T, e suricata) {
	e.need(t)
	dir := t.TempDir()
	own, err := os.ReadFile(configFile(t))
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) (path string) {
		path = filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("tenant.rules", `alert udp any any -> any any (msg:"a tenant's"; dsize:>0; sid:1;)`+"\n")
	tenant := write("tenant.yaml", fmt.Sprintf("%%YAML 1.1\n---\nvars:\n  address-groups:\n    HOME_NET: any\n    EXTERNAL_NET: any\ndefault-rule-path: %s\nrule-files: [tenant.rules]\n", dir))
	e.config = write("suricata.yaml", string(own)+fmt.Sprintf("\nmulti-detect:\n  enabled: yes\n  selector: vlan\n  tenants:\n    - id: 1\n      yaml: %s\n  mappings:\n    - vlan-id: 42\n      tenant-id: 1\n", tenant))
	s := engine.Start(t, filepath.Join(engine.Root(t), "test/bundle/toy"), "")
	eve, _ := e.run(t, engine.Capture{Name: "vlan", Path: filepath.Join(engine.Root(t), "test/captures/vlan.pcap")}, 2, s.Socket, "tenants")
	s.Stop(t)
	if !bytes.Contains(eve, []byte(`"tenant_id":1`)) || !bytes.Contains(eve, []byte("a tenant's")) {
		t.Errorf("no record of the tenant:\n%s", eve)
	}
	e.decided(t, eve, s.Decisions(t))
}

func TestLive7PluginPinned(t *testing.T) {
	pinned(t, plugin7(), "threading.cpu-affinity.0=worker-cpu-set", "threading.cpu-affinity.0.worker-cpu-set.cpu.0=1")
}

func TestLive8PluginPinned(t *testing.T) {
	pinned(t, suricata8(t).with("plugin"), "threading.cpu-affinity.worker-cpu-set.cpu.0=1")
}

// pinned: where workers have processors for themselves alone, the plugin's thread is not
// bound to theirs.
func pinned(t *testing.T, e suricata, settings ...string) {
	if !e.ownNetwork(t) {
		return
	}
	if runtime.NumCPU() < 2 {
		t.Skip("SKIPPED: one processor")
	}
	args := []string{"--af-packet=" + engine.Watched, "--set", "threading.set-cpu-affinity=yes"}
	for _, setting := range settings {
		args = append(args, "--set", setting)
	}
	dir := t.TempDir()
	s := engine.Start(t, filepath.Join(engine.Root(t), "test/bundle/toy"), "")
	program := e.start(t, dir, s.Socket, "pinned", args...)
	places := map[string]string{}
	for _, task := range processors(t, program.Process.Pid) {
		places[strings.SplitN(task.name, "#", 2)[0]] = task.on
	}
	program.Process.Signal(syscall.SIGINT)
	if err := program.Wait(); err != nil {
		t.Errorf("suricata: %v\n%s", err, program.Text(t))
	}
	s.Stop(t)
	if places["W"] != "1" || places["serveflow"] != places["Suricata-Main"] || places["serveflow"] == "1" {
		t.Errorf("threads run on the processors %v", places)
	}
}

// A task is a thread of a process and the processors that it may run on.
type task struct{ name, on string }

var allowed = regexp.MustCompile(`(?m)^Cpus_allowed_list:\s*(\S+)$`)

func processors(t *testing.T, pid int) (all []task) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(string(text), "Name:\t"), "\n")
		if m := allowed.FindSubmatch(text); m != nil {
			all = append(all, task{name, string(m[1])})
		}
	}
	return all
}

func TestLive7PluginInline(t *testing.T) { inline(t, plugin7()) }

func TestLive8PluginInline(t *testing.T) { inline(t, suricata8(t).with("plugin")) }

// inline: as an IPS, on a queue of the kernel's, Suricata lets all packets pass and
// every flow gets its decision.
func inline(t *testing.T, e suricata) {
	if !e.ownNetwork(t) {
		return
	}
	if out, err := exec.Command("iptables", "-I", "OUTPUT", "-p", "udp", "-j", "NFQUEUE", "--queue-num", "0").CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: no NFQUEUE here: %v: %s", err, out)
	}
	dir := t.TempDir()
	s := engine.Start(t, filepath.Join(engine.Root(t), "test/bundle/toy"), "[flow]\nidle_timeout = \"1s\"\n")
	program := e.start(t, dir, s.Socket, "inline", append([]string{"-q", "0"}, shortTimeouts()...)...)
	const conversations, questions = 20, 12
	if n := converse(t, conversations, questions); n != conversations*questions {
		t.Errorf("%d of %d answers came", n, conversations*questions)
	}
	time.Sleep(6 * time.Second) // the flows end
	program.Process.Signal(syscall.SIGINT)
	err := program.Wait()
	said := program.Text(t)
	s.Stop(t)
	if want := fmt.Sprintf("Accepted %d, Dropped 0", 2*conversations*questions); err != nil || !strings.Contains(said, want) {
		t.Errorf("%v, without %q:\n%s", err, want, said)
	}
	eve, err := os.ReadFile(filepath.Join(dir, "eve.json"))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(flows(t, eve)); n != conversations {
		t.Errorf("%d flows of %d conversations", n, conversations)
	}
	e.decided(t, eve, s.Decisions(t))
}

// converse has so many conversations over UDP, and returns how many answers came.
func converse(t *testing.T, conversations, questions int) (answers int) {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() {
		buffer := make([]byte, 1500)
		for {
			n, from, err := server.ReadFrom(buffer)
			if err != nil {
				return
			}
			server.WriteTo(buffer[:n], from)
		}
	}()
	buffer := make([]byte, 1500)
	for range conversations {
		conn, err := net.Dial("udp", server.LocalAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		for range questions {
			conn.Write(bytes.Repeat([]byte{'x'}, 100))
			conn.SetReadDeadline(time.Now().Add(2 * time.Second))
			if _, err := conn.Read(buffer); err == nil {
				answers++
			}
		}
		conn.Close()
	}
	return answers
}
