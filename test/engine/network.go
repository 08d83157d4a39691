package engine

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"syscall"
	"testing"
)

// The two ends of a link: what is sent into the one is seen by the IDS at the
// other, Watched.
const (
	feed    = "feed"
	Watched = "ids"
)

// OwnNetwork runs the test again in namespaces of its own, of networks,
// processes and mounts, and says whether this is that run. The kernel takes them
// away with all that is in them, however the test ends.
func OwnNetwork(t *testing.T) bool {
	t.Helper()
	const inside = "inside"
	switch os.Getenv("SERVEFLOW_LIVE") {
	case "":
		t.Skip("SERVEFLOW_LIVE is not set: use make live-suricata7, live-suricata8 or live-zeek")
	case inside:
		for _, args := range [][]string{
			{"mount", "-t", "tmpfs", "none", "/run"},
			{"sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1"}, // so that nobody talks of himself
			{"ip", "link", "set", "lo", "up"},
			{"ip", "link", "add", feed, "type", "veth", "peer", "name", Watched},
			{"ip", "link", "set", feed, "mtu", "9000", "up"}, // captures have frames that a card put together
			{"ip", "link", "set", Watched, "mtu", "9000", "up"},
		} {
			if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %v\n%s", args, err, out)
			}
		}
		t.Setenv("TMPDIR", "/run")
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: NOT ROOT, who alone may make networks")
	}
	for _, tool := range []string{"unshare", "ip", "sysctl", "tcpreplay"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SKIPPED: NO %s HERE: make engines installs it", tool)
		}
	}
	runtime.LockOSThread() // with which what it starts would die
	defer runtime.UnlockOSThread()
	// What else the machine has to do must not cost packets.
	cmd := exec.Command("nice", "-n", "-15", "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
		os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=30m")
	cmd.Env = append(os.Environ(), "SERVEFLOW_LIVE="+inside)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); err != nil {
		t.Error(err)
	}
	return false
}

var actual = regexp.MustCompile(`Actual: (\d+) packets`)

// Traffic plays real conversations into the link, again and again with other
// addresses, for so many seconds, and returns the number of packets.
func Traffic(t *testing.T, packetsPerSecond, seconds int) int {
	t.Helper()
	const perRound = 390 // packets in these captures
	args := []string{"--unique-ip", "--loop", strconv.Itoa(packetsPerSecond * seconds / perRound)}
	for _, name := range []string{"http", "tls", "dns", "ssh", "vlan"} {
		args = append(args, filepath.Join(Root(t), "test/captures", name+".pcap"))
	}
	return Replay(t, packetsPerSecond, args...)
}

// Replay has tcpreplay play captures into the link, with what options it is given,
// and returns the number of packets. It sleeps between them: with its usual timer it
// would take a processor for itself.
func Replay(t *testing.T, packetsPerSecond int, args ...string) int {
	t.Helper()
	args = append([]string{"--quiet", "--intf1", feed, "--preload-pcap", "--timer=nano", "--pps", strconv.Itoa(packetsPerSecond)}, args...)
	out, err := exec.Command("tcpreplay", args...).CombinedOutput()
	m := actual.FindSubmatch(out)
	if err != nil || m == nil {
		t.Fatalf("tcpreplay: %v\n%s", err, out)
	}
	n, _ := strconv.Atoi(string(m[1]))
	return n
}
