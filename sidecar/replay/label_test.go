package replay

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"serveflow/sidecar/tap/wire"
)

// Flows are handed out while the capture is still read, each once with its label:
// memory does not grow with the capture.
func TestLabelFileHandsOutAsItGoes(t *testing.T) {
	const flows = 3 * blockFlows
	path := filepath.Join(t.TempDir(), "many.pcap")
	b := pcapFile(t, binary.LittleEndian, false)[:24]
	frame := udp(hostA, hostB, 5000, 53, []byte("data"))
	for i := range uint32(flows) {
		b = binary.LittleEndian.AppendUint32(b, 100*i)
		b = binary.LittleEndian.AppendUint32(b, 0)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(frame)))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(frame)))
		b = append(b, frame...)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	var over atomic.Bool // the sidecar has read all
	socket := fakeSidecar(t, func(p *peer) error {
		if _, err := p.greet(wire.Welcome{Packets: 10, RawBytes: 192}); err != nil {
			return err
		}
		words := []string{}
		err := p.record(&words)
		over.Store(true)
		return err
	})
	next := uint64(1)
	_, err := LabelFile(t.Context(), socket, path, TapOptions{Capture: true}, Options{}, func(fl *Labelled) error {
		if next == 1 && over.Load() {
			t.Error("nothing was handed out before the capture was over")
		}
		if fl.Flow != next || fl.Label.Flow.Uint() != next || fl.Packets != 1 {
			t.Fatalf("flow %d with the label of %d and %d packets, want flow %d", fl.Flow, fl.Label.Flow.Uint(), fl.Packets, next)
		}
		next++
		return nil
	})
	if err != nil || next != flows+1 {
		t.Errorf("%d flows, %v", next-1, err)
	}
	if _, err := LabelFile(t.Context(), socket, path+"x", TapOptions{}, Options{}, nil); !errors.As(err, new(*OpenError)) {
		t.Errorf("a capture that is not there: %v", err)
	}
}
