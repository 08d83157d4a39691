package tune

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"testing"

	"serveflow/models/tune/search"
	"serveflow/sidecar/bundle"
	"serveflow/sidecar/replay"
)

// TestServedAsEstimated: the sidecar says of every flow what the estimate does, by the
// same stage, also of those that end before a stage has its packets.
func TestServedAsEstimated(t *testing.T) {
	dir, list := setUp(t)
	o := options(dir, list)
	o.Limits.Precision = .9
	r, err := Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, r)
	for _, c := range r.Choices {
		estimated, early := map[string]int{}, 0
		o := c.Test.Run(c.Models, c.Final)
		for i, said := range o.Said {
			label := bundle.UnknownLabel
			if said != search.Unknown {
				label = r.Candidates.Labels[said]
			}
			stage := c.Models[c.Final[o.Stage[i]].Candidate]
			if len(c.Test.Flows[i].Waits) < stage.Packets {
				early++
			}
			estimated[label+" by "+stage.Name]++
		}
		served := map[string]int{}
		for _, file := range []string{"dns.pcap", "http.pcap", "ssh.pcap"} {
			_, err := replay.LabelFile(context.Background(), s.Socket, filepath.Join(recorded, file), replay.TapOptions{Sensor: c.Events + file, Meta: c.Events == "meta"},
				replay.Options{IgnoreChecksums: true}, func(l *replay.Labelled) error {
					served[l.Label.Label+" by "+l.Label.Stage] += copies
					return nil
				})
			if err != nil {
				t.Fatal(err)
			}
		}
		if !maps.Equal(served, estimated) {
			t.Errorf("%s: served %v, estimated %v", c.Events, served, estimated)
		}
		if early == 0 || len(c.Final) < 2 {
			t.Errorf("%s: %d flows end early, %s", c.Events, early, fmt.Sprint(c.names(c.Final, ", ")))
		}
	}
}
