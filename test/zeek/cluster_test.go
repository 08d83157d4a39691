package zeek

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"serveflow/test/engine"
	"serveflow/test/kafka/broker"
)

const layout = `redef Cluster::manager_is_logger = F;
redef Cluster::nodes = {
	["manager"] = [$node_type=Cluster::MANAGER, $ip=127.0.0.1, $p=37761/tcp],
	["logger"] = [$node_type=Cluster::LOGGER, $ip=127.0.0.1, $p=37762/tcp, $manager="manager"],
	["proxy-1"] = [$node_type=Cluster::PROXY, $ip=127.0.0.1, $p=37763/tcp, $manager="manager"],
	["worker-1"] = [$node_type=Cluster::WORKER, $ip=127.0.0.1, $p=37764/tcp, $manager="manager"],
	["worker-2"] = [$node_type=Cluster::WORKER, $ip=127.0.0.1, $p=37765/tcp, $manager="manager"],
};
`

// backend has the nodes speak over Broker, which is not the default from Zeek 8.1 on.
const backend = `@if ( Version::at_least("8.1.0") )
@load frameworks/cluster/backend/broker
@endif
`

// TestCluster: in a cluster, every worker connects to the sidecar by its name, no
// other node does, and labels are in the conn.log that the logger writes.
func TestCluster(t *testing.T) {
	if os.Getenv("SERVEFLOW_LIVE") != "" {
		t.Setenv("SERVEFLOW_E2E", "1")
		need(t)
	}
	if !engine.OwnNetwork(t) {
		return
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"cluster-layout.zeek": layout, "backend.zeek": backend} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var b *broker.Broker
	stream := ""
	if broker.Wanted() {
		b = broker.Start(t)
		stream = fmt.Sprintf("[kafka]\nbrokers = [%q]\ntopic = %q\nhost = \"here\"\nqueue = %q\n", b.Address(), b.Topic("labels"), filepath.Join(dir, "queue"))
	}
	s := engine.Start(t, filepath.Join(engine.Root(t), "models/iot-device"), stream)
	nodes := map[string]*exec.Cmd{}
	node := func(name string, args ...string) {
		own := filepath.Join(dir, name)
		if err := os.Mkdir(own, 0o700); err != nil {
			t.Fatal(err)
		}
		said, err := os.Create(filepath.Join(own, "said"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { said.Close() })
		cmd := command(t, own, "zeek", append(args, "-C", "backend", "serveflow", "policy/protocols/conn/community-id-logging",
			"ServeFlow::socket="+s.Socket, "LogAscii::use_json=T", "Log::default_rotation_interval=0sec",
			"udp_inactivity_timeout=2sec", "tcp_inactivity_timeout=5sec")...)
		cmd.Env = append(cmd.Env, "CLUSTER_NODE="+name, "ZEEKPATH="+dir+":"+lookup(cmd.Env, "ZEEKPATH"))
		cmd.Stdout, cmd.Stderr = said, said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill() })
		nodes[name] = cmd
	}
	for _, name := range []string{"manager", "logger", "proxy-1"} {
		node(name)
	}
	// No conversation is seen by both.
	node("worker-1", "-i", engine.Watched, "-f", "tcp")
	node("worker-2", "-i", engine.Watched, "-f", "not tcp")
	for _, name := range []string{"worker-1", "worker-2"} {
		engine.AwaitText(t, filepath.Join(dir, name, "said"), "listening on")
	}
	time.Sleep(10 * time.Second) // the nodes find each other
	engine.Traffic(t, 2000, 10)
	time.Sleep(8 * time.Second) // the last flows end
	for _, name := range []string{"worker-1", "worker-2", "proxy-1", "manager", "logger"} {
		nodes[name].Process.Signal(syscall.SIGTERM)
		if err := nodes[name].Wait(); err != nil {
			said, _ := os.ReadFile(filepath.Join(dir, name, "said"))
			t.Errorf("%s: %v\n%s", name, err, said)
		}
		time.Sleep(time.Second) // what it sent is read
	}
	s.Stop(t)
	if b != nil {
		inTopic(t, b, s.Decisions(t))
	}

	rows := readLogs(t, filepath.Join(dir, "logger"), "").flows(t)
	sensors := map[string]int{}
	for _, d := range s.Decisions(t) {
		sensors[d.Sensor]++
	}
	labelled := map[string]int{}
	total := map[string]int{}
	for _, r := range rows {
		total[r.Proto]++
		if r.Label != "" {
			labelled[r.Proto]++
		}
	}
	t.Logf("cluster: rows %v, labelled %v, decisions %v", total, labelled, sensors)
	if len(sensors) != 2 || sensors["worker-1"] == 0 || sensors["worker-2"] == 0 {
		t.Errorf("decisions by sensor: %v", sensors)
	}
	for _, proto := range []string{"tcp", "udp"} {
		if total[proto] == 0 || float64(labelled[proto]) < 0.99*float64(total[proto]) {
			t.Errorf("%s: %d of %d rows of the logger labelled", proto, labelled[proto], total[proto])
		}
	}
	for name := range nodes {
		if _, err := os.Stat(filepath.Join(dir, name, "conn.log")); (err == nil) != (name == "logger") {
			t.Errorf("%s: conn.log: %v", name, err)
		}
	}
}

// inTopic fails unless each decision is in the topic once, under its own worker's name.
func inTopic(t *testing.T, b *broker.Broker, decided []engine.Decision) {
	t.Helper()
	name := func(d *engine.Decision) string { return fmt.Sprintf("%s %s %f %s", d.Sensor, d.Flow, d.Start, d.Label) }
	left := map[string]int{}
	for i := range decided {
		left[name(&decided[i])]++
	}
	records := b.Records("labels")
	for _, r := range records {
		var d engine.Decision
		if err := json.Unmarshal(r.Value, &d); err != nil {
			t.Fatalf("%v: %s", err, r.Value)
		}
		if left[name(&d)]--; left[name(&d)] < 0 || string(r.Key) != d.CommunityID {
			t.Errorf("not in the label log, or twice: %s", r.Value)
		}
	}
	t.Logf("kafka: %d of %d decisions", len(records), len(decided))
	if len(records) != len(decided) {
		t.Error("decisions are lost")
	}
}

// lookup is a variable of an environment.
func lookup(env []string, name string) (value string) {
	for _, v := range env {
		if after, ok := strings.CutPrefix(v, name+"="); ok {
			value = after
		}
	}
	return value
}
