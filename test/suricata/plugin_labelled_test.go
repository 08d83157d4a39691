package suricata

import (
	"fmt"
	"path/filepath"
	"testing"

	"serveflow/test/engine"
)

func TestSuricata7PluginLabelled(t *testing.T) {
	e := plugin7()
	e.args = []string{"--set", "serveflow.labels=yes"}
	labelled(t, e)
}

func TestSuricata8PluginLabelled(t *testing.T) { labelled(t, suricata8(t).with("plugin")) }

func TestSuricata7PluginLabelledEnd(t *testing.T) {
	e := plugin7()
	e.args = []string{"--set", "serveflow.labels=yes"}
	labelledEnd(t, e)
}

func TestSuricata8PluginLabelledEnd(t *testing.T) { labelledEnd(t, suricata8(t).with("plugin")) }

// labelled: nothing more of a flow is sent once its label came, unless the sidecar asks
// for it.
func labelled(t *testing.T, e suricata) {
	e.need(t)
	const flows, packets = 4000, 10
	path := filepath.Join(t.TempDir(), "short.pcap")
	w := engine.NewCapture(t, path)
	rounds(t, w, 0, flows, packets)
	w.Close()
	// Suricata is never far ahead of the labels.
	e.args = append(e.args, "--set", "serveflow.buffer=4096")
	for _, afterLabel := range []bool{false, true} {
		t.Run(fmt.Sprintf("after_label=%v", afterLabel), func(t *testing.T) {
			l := labeller{atFirst: true, afterLabel: afterLabel}
			l.start(t)
			e.run(t, engine.Capture{Name: "short", Path: path}, 1, l.socket, "labelled")
			all := int64(flows * packets)
			if n := l.packets.Load(); n < flows || afterLabel && n != all || !afterLabel && n > all/2 {
				t.Errorf("%d packets of %d flows were sent, of %d", n, flows, all)
			}
		})
	}
}

// labelledEnd: a sidecar that wants more of a flow after its label hears of its end, too.
func labelledEnd(t *testing.T, e suricata) {
	e.need(t)
	const flows = 4000
	path := filepath.Join(t.TempDir(), "twice.pcap")
	w := engine.NewCapture(t, path)
	rounds(t, w, 0, flows, 3)
	rounds(t, w, 3_600_000_000, flows, 3) // which end those before them
	w.Close()
	l := labeller{atFirst: true, afterLabel: true}
	l.start(t)
	e.args = append(e.args, "--set", "serveflow.buffer=4096")
	e.run(t, engine.Capture{Name: "twice", Path: path}, 1, l.socket, "labelled")
	if n := l.ends.Load(); n < flows {
		t.Errorf("%d ENDs of %d flows that came twice", n, flows)
	}
}

// rounds writes one packet of each flow after the other, so that the labels of the first
// packets come before the last ones.
func rounds(t *testing.T, w *engine.CaptureFile, at int64, flows, packets int) {
	t.Helper()
	for n := range packets {
		for f := range flows {
			w.Add(at+int64(n*flows+f), exchange(t, f, n%2 == 1, 58))
		}
	}
}
