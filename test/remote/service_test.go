package remote

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/model/remote"
)

// TestServiceTime measures what a request to MLServer takes by its rows: what test/scale
// is to be told. The model is the large one of the channel bundle.
func TestServiceTime(t *testing.T) {
	needServer(t)
	channel := root + "/models/channel"
	dir, text := remoteBundle(t, channel, "large12.txt")
	server := newServer(t, text, "1").start()
	spec, err := os.ReadFile(dir + "/remote.json")
	if err != nil {
		t.Fatal(err)
	}
	golden, err := os.ReadFile(dir + "/remote.json" + bundle.GoldenSuffix)
	if err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Open(channel, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	classes := len(b.Packet.Labels)
	b.Close()
	m, err := remote.Load(spec, remote.Options{Endpoints: []string{server.address()}, Classes: classes, Golden: golden, Tolerance: 1e-4})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for until := time.Now().Add(time.Minute); m.Ready() == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the server does not come into use")
		}
	}
	s, err := m.NewScorer()
	if err != nil {
		t.Fatal(err)
	}
	table := [3]string{"| rows |", "| least, ms |", "| median, ms |"}
	for _, n := range []int{1, 4, 16, 64, 256} {
		rows, probs := make([]float32, n*len(m.Columns())), make([]float32, n*classes)
		var took []time.Duration
		for range 40 {
			began := time.Now()
			if err := s.Score(probs, rows, n); err != nil {
				t.Fatal(err)
			}
			took = append(took, time.Since(began))
		}
		slices.Sort(took)
		table[0] += fmt.Sprintf(" %d |", n)
		table[1] += fmt.Sprintf(" %.1f |", ms(took[0]))
		table[2] += fmt.Sprintf(" %.1f |", ms(took[len(took)/2]))
	}
	fmt.Println(table[0] + "\n|---|---|---|---|---|---|\n" + table[1] + "\n" + table[2])
}
