package remote

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/decide/cascade"
	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/model"
	"serveflow/sidecar/model/remote"
)

// trace is what test/scale reads.
type trace struct {
	Rate         float64
	Servers      int
	Batch, Queue int
	Deadline     time.Duration
	Arrivals     []float64
	Requests     []request
	Waits        []time.Duration
	began        time.Time
	mu           sync.Mutex
}

type request struct {
	Sent, Done float64
	Rows       int
}

// watched is a remote model whose requests are noted.
type watched struct {
	*remote.Model
	trace *trace
}

func (w *watched) NewScorer() (model.Scorer, error) {
	s, err := w.Model.NewScorer()
	if err != nil {
		return nil, err
	}
	return &scorer{s.(*remote.Scorer), w.trace}, nil
}

type scorer struct {
	*remote.Scorer
	trace *trace
}

func (s *scorer) Score(probs, rows []float32, n int) error {
	r := request{Sent: time.Since(s.trace.began).Seconds(), Rows: n}
	err := s.Scorer.Score(probs, rows, n)
	r.Done = time.Since(s.trace.began).Seconds()
	if err == nil {
		s.trace.mu.Lock()
		s.trace.Requests = append(s.trace.Requests, r)
		s.trace.mu.Unlock()
	}
	return err
}

// TestSimulation has rows come at random to a server that is real, through the batcher of
// the sidecar, and holds what test/scale makes of the same arrivals against it.
func TestSimulation(t *testing.T) {
	needServer(t)
	dir, text := remoteBundle(t, root+"/models/channel", "large12.txt")
	server := newServer(t, text, "1").start()
	b, err := bundle.Open(dir, bundle.Options{Inference: remote.Options{Endpoints: []string{server.address()}}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	m := b.Remotes()[0]
	for until := time.Now().Add(time.Minute); m.Ready() == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the server does not come into use")
		}
	}
	var traces []*trace
	for _, rate := range []float64{50, 200, 500} {
		tr := &trace{Rate: rate, Servers: 1, Batch: 32, Queue: 4096, Deadline: 5 * time.Second}
		tr.run(t, b.Packet, m)
		if len(tr.Waits) < len(tr.Arrivals) { // which the simulation has no server for that goes out of use
			t.Errorf("%.0f rows a second: %d rows, %d answered", rate, len(tr.Arrivals), len(tr.Waits))
		}
		traces = append(traces, tr)
	}
	data, err := json.Marshal(traces)
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir() + "/trace.json"
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "run", "./test/scale", "-trace", path)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	os.Stdout.Write(out)
}

// run has rows come for 10 s.
func (tr *trace) run(t *testing.T, c *cascade.Cascade, m *remote.Model) {
	t.Helper()
	own := *c
	own.Stages = slices.Clone(c.Stages)
	last := len(own.Stages) - 1
	own.Stages[last].Model = &watched{m, tr}
	batcher, err := cascade.NewBatcher[time.Time](&own, last, tr.Queue, tr.Batch)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan *cascade.Job[time.Time], tr.Queue)
	var answers sync.WaitGroup
	answers.Go(func() {
		for j := range done {
			if j.Err == nil {
				tr.Waits = append(tr.Waits, time.Since(j.Tag))
			}
			j.Release()
		}
	})
	packets := make([]packet.Packet, own.Stages[last].Packets)
	random := rand.New(rand.NewPCG(1, uint64(tr.Rate)))
	tr.began = time.Now()
	for at := 0.0; at < 10; at += random.ExpFloat64() / tr.Rate {
		time.Sleep(time.Until(tr.began.Add(time.Duration(at * 1e9))))
		now := time.Now()
		tr.Arrivals = append(tr.Arrivals, now.Sub(tr.began).Seconds())
		batcher.Ask(<-batcher.Free(), now, packets, now.Add(tr.Deadline), done)
	}
	if err := batcher.Close(); err != nil {
		t.Fatal(err)
	}
	close(done)
	answers.Wait()
}
