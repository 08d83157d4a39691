package flows

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/replay"
)

// ends is a flow as it is compared: a transport and two ends in their order.
type ends struct {
	proto string
	a, b  netip.AddrPort
}

func newEnds(proto string, a, b netip.AddrPort) ends {
	if b.Compare(a) < 0 {
		a, b = b, a
	}
	return ends{proto, a, b}
}

// flows counts flows between the same ends.
type flows map[ends]int

func (f flows) sum() (n int) {
	for _, k := range f {
		n += k
	}
	return n
}

func (f flows) common(other flows) (n int) {
	for e, k := range f {
		n += min(k, other[e])
	}
	return n
}

func TestSuricata(t *testing.T) { compare(t, "suricata", replay.Suricata, suricata) }

func TestSuricata8(t *testing.T) { compare(t, suricata8, replay.Suricata8, suricata) }

func TestZeek(t *testing.T) { compare(t, "zeek", replay.Zeek, zeek) }

// compare holds replay's flows against those of an engine: at least 99 % are to be
// the same.
func compare(t *testing.T, command string, rules replay.Rules, run func(ctx context.Context, command, dir, path string) (flows, error)) {
	list, step := captures(t)
	command = program(t, command)
	theirs, ours, same, equal, read := 0, 0, 0, 0, 0
	for i := 0; i < len(list); i += step {
		path := plain(t, list[i])
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		engine, err := run(ctx, command, t.TempDir(), path)
		cancel()
		os.Remove(path)
		if err != nil {
			t.Logf("%s: %s reads nothing: %v", filepath.Base(list[i]), command, err)
			continue
		}
		built, odd := built(t, list[i], rules)
		n, m, k := engine.sum(), built.sum(), engine.common(built)
		theirs, ours, same, read = theirs+n, ours+m, same+k, read+1
		if n == k && m == k {
			equal++
		} else {
			t.Logf("%s: %s has %d flows, replay %d, the same are %d%s", filepath.Base(list[i]), command, n, m, k, odd)
		}
	}
	t.Logf("%d captures, %d of them equal: %s has %d flows of TCP and UDP, replay %d, the same are %d (%.2f %%)",
		read, equal, command, theirs, ours, same, 100*float64(same)/float64(max(theirs, ours, 1)))
	if read == 0 || same*100 < max(theirs, ours)*99 {
		t.Errorf("fewer than 99 %% of the flows are those of %s", command)
	}
}

// program is the path of an engine; the test is skipped without it.
func program(t *testing.T, command string) string {
	t.Helper()
	path, err := exec.LookPath(command)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		t.Skipf("no %s", command)
	}
	return path
}

// captures are those of the data folder and of the cases beside it; step: every how
// many of them are compared.
func captures(t *testing.T) (list []string, step int) {
	t.Helper()
	step, err := strconv.Atoi(os.Getenv("SERVEFLOW_FLOWS"))
	if err != nil || step < 1 {
		t.Skip("takes about a second a capture: set SERVEFLOW_FLOWS to every how many to compare, or use make flows")
	}
	data := os.Getenv("SERVEFLOW_DATA")
	if data == "" {
		data = "../../../shared/data"
	}
	for _, pattern := range []string{"../cases/captures/*", "app-category/pcap/*"} {
		found, err := filepath.Glob(filepath.Join(data, pattern))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, found...)
	}
	if len(list) == 0 {
		t.Skip("no captures (set SERVEFLOW_DATA to the folder of labelled captures)")
	}
	return list, step
}

// plain unpacks a capture that the engines do not.
func plain(t *testing.T, path string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "capture")
	unpack := exec.Command("cp", path, out)
	if strings.HasSuffix(path, ".zst") {
		unpack = exec.Command("zstd", "-dqf", path, "-o", out)
	}
	if text, err := unpack.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", unpack, err, text)
	}
	return out
}

// built are replay's flows, and odd says what may make them others.
func built(t *testing.T, path string, rules replay.Rules) (found flows, odd string) {
	t.Helper()
	source, err := replay.Open(path)
	if err != nil {
		return nil, fmt.Sprintf(" (%v)", err)
	}
	defer source.Close()
	clock := &clocked{Source: source}
	all := replay.NewFlows(clock, replay.Options{IgnoreChecksums: true, Rules: rules})
	found = flows{}
	var ev replay.Event
	for {
		err := all.Next(&ev)
		if err == io.EOF {
			break
		}
		if err != nil {
			odd += " (it stops before its end)"
			break
		}
		proto := map[uint8]string{packet.TCP: "tcp", packet.UDP: "udp"}[ev.Tuple.Proto]
		if ev.Kind == replay.EndEvent && proto != "" {
			u := ev.Tuple
			found[newEnds(proto, netip.AddrPortFrom(u.SrcAddr(), u.SrcPort), netip.AddrPortFrom(u.DstAddr(), u.DstPort))]++
		}
	}
	if clock.back > 0 {
		odd += fmt.Sprintf(" (its clock steps back %d times)", clock.back)
	}
	if skipped := all.Counts().Skipped; skipped.Sum() > 0 {
		odd += fmt.Sprintf(" (of no flow: %v)", skipped)
	}
	return found, odd
}

// clocked counts the steps back of a capture's clock.
type clocked struct {
	*replay.Source
	last int64
	back int
}

func (c *clocked) Next(r *replay.Record) error {
	err := c.Source.Next(r)
	if err == nil {
		if r.Time < c.last-int64(time.Second/time.Microsecond) {
			c.back++
		}
		c.last = r.Time
	}
	return err
}
