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

// labelled: nothing more of a flow is sent once its label came, unless the sidecar asks
// for it.
func labelled(t *testing.T, e suricata) {
	e.need(t)
	const flows, packets = 4000, 10
	path := filepath.Join(t.TempDir(), "short.pcap")
	exchanges(t, path, flows, packets)
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
