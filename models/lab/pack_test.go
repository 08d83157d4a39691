package main

import (
	"io"
	"path/filepath"
	"testing"

	"serveflow/sidecar/replay"
)

// counts are the packets of each flow of a capture, by the flow's ends.
func counts(t *testing.T, path string) (flows []int, causes map[replay.EndCause]int) {
	t.Helper()
	source, err := replay.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	all := replay.NewFlows(source, replay.Options{})
	causes = map[replay.EndCause]int{}
	var ev replay.Event
	for {
		switch err := all.Next(&ev); {
		case err == io.EOF:
			return flows, causes
		case err != nil:
			t.Fatal(err)
		}
		if ev.Kind == replay.EndEvent {
			flows = append(flows, int(ev.OrigPkts+ev.RespPkts))
			causes[ev.Cause]++
		}
	}
}

func TestPack(t *testing.T) {
	const from = "../../test/captures/tls.pcap"
	whole, causes := counts(t, from)
	for _, most := range []int{0, 8} {
		to := filepath.Join(t.TempDir(), "packed.pcap.zst")
		flows, packets, err := pack(from, to, most)
		if err != nil {
			t.Fatal(err)
		}
		got, gotCauses := counts(t, to)
		sum := 0
		for i, n := range got {
			sum += n
			switch {
			case most == 0 && n != whole[i]:
				t.Errorf("flow %d has %d packets of %d", i, n, whole[i])
			case most > 0 && (n < min(most, whole[i]) || n > most+4):
				t.Errorf("flow %d has %d packets of %d", i, n, whole[i])
			}
		}
		if flows != len(whole) || len(got) != len(whole) || most > 0 && sum != packets {
			t.Errorf("%d flows and %d packets, in the file %d and %d", flows, packets, len(got), sum)
		}
		if gotCauses[replay.Closed] != causes[replay.Closed] {
			t.Errorf("flows end as %v, before as %v", gotCauses, causes)
		}
	}
}

func TestPackRefuses(t *testing.T) {
	for _, name := range []string{"../../test/captures/hard-cut.pcap", "../captures/README.md", "nothing"} {
		if _, _, err := pack(name, filepath.Join(t.TempDir(), "packed"), 0); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
