package sidecar

import (
	"context"
	"errors"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/decide/shard"
	"serveflow/sidecar/operate/config"
	"serveflow/sidecar/output/decision"
	"serveflow/sidecar/tap/wire"
)

// TestReloadShadow: SIGHUP brings another shadow, none, and one again; one that cannot be
// used leaves the one before.
func TestReloadShadow(t *testing.T) {
	c := config.Default()
	c.Listen.Socket, c.Flow.Shards = filepath.Join(t.TempDir(), "s.sock"), 2
	c.Shadow.Bundle, c.Shadow.Path = "toy", filepath.Join(t.TempDir(), "shadow.jsonl")
	served, first := toyBundle(t, 0), toyBundle(t, 1)
	defer served.Close()
	defer first.Close()
	var log strings.Builder
	s, err := Start(Options{Config: c, Bundle: served, Shadow: first, Log: zerolog.New(&log), Decisions: discard{}})
	if err != nil {
		t.Fatal(err)
	}
	reload := func(shadow *bundle.Bundle, failed error) {
		(&supervisor{Sidecar: s, options: Options{Config: c, Log: zerolog.New(&log), Load: func() (Loaded, error) {
			return Loaded{Config: c, Bundle: toyBundle(t, 0), Shadow: shadow}, failed
		}}}).reload()
	}
	for _, step := range []struct {
		shadow *bundle.Bundle
		failed error
		want   string
		said   string
	}{
		{toyBundle(t, 1), nil, "toy@2.0.1", "bundle unchanged"},
		{toyBundle(t, 2), nil, "toy@2.0.2", "new shadow bundle decides"},
		{nil, errors.New("not sound"), "toy@2.0.2", "not sound"},
		{nil, nil, "", "no shadow bundle any more"},
		{toyBundle(t, 3), nil, "toy@2.0.3", "new shadow bundle decides"},
	} {
		log.Reset()
		reload(step.shadow, step.failed)
		if got := s.status().Shadow; got != step.want || !strings.Contains(log.String(), step.said) {
			t.Errorf("the shadow is %q, want %q; the log says %s, want %s", got, step.want, log.String(), step.said)
		}
		if got := s.pool.Asked().AfterLabel; got != (step.want != "") {
			t.Errorf("%q: taps go on after a label: %v", step.want, got)
		}
		if s.pool.Bundle() != served {
			t.Error("the bundle that is served is another")
		}
	}
	for range 2 {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.shadow.reload(toyBundle(t, 4)); !errors.Is(err, shard.ErrStopped) {
		t.Errorf("a reload after the stop: %v", err)
	}
}

// TestReloadWithoutShadow: one that was not configured at the start has no room, and the
// log says that it takes a restart.
func TestReloadWithoutShadow(t *testing.T) {
	c := config.Default()
	c.Listen.Socket = filepath.Join(t.TempDir(), "s.sock")
	served := toyBundle(t, 0)
	defer served.Close()
	var log strings.Builder
	s, err := Start(Options{Config: c, Bundle: served, Log: zerolog.New(&log), Decisions: discard{}})
	if err != nil {
		t.Fatal(err)
	}
	next := c
	next.Shadow.Bundle = "toy"
	(&supervisor{Sidecar: s, options: Options{Config: c, Log: zerolog.New(&log), Load: func() (Loaded, error) {
		return Loaded{Config: next, Bundle: toyBundle(t, 0), Shadow: toyBundle(t, 0)}, nil
	}}}).reload()
	if !strings.Contains(log.String(), `"tables":["shadow"]`) || s.status().Shadow != "" {
		t.Errorf("the log says %s", log.String())
	}
	if err := s.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}

// TestShadowFailureIsAWarning: what /healthz says while the shadow has failed.
func TestShadowFailureIsAWarning(t *testing.T) {
	c := config.Default()
	c.Listen.Socket = filepath.Join(t.TempDir(), "s.sock")
	served, shadow := toyBundle(t, 0), toyBundle(t, 0)
	defer served.Close()
	defer shadow.Close()
	s, err := Start(Options{Config: c, Bundle: served, Shadow: shadow, Log: zerolog.Nop(), Decisions: discard{}, ShadowDecisions: panics{}})
	if err != nil {
		t.Fatal(err)
	}
	tap := s.pool.Open(shard.Tap{Sensor: "s"})
	tap.Arrived = time.Now()
	e := tap.Add(wire.UintID(1), 1, make([]byte, 20)) // is unparsed, so decided by its end
	e.OrigPkts = 1
	tap.Flush()
	tap.Barrier(true, func() {})
	health := ""
	for until := time.Now().Add(10 * time.Second); !strings.Contains(health, "warning") && time.Now().Before(until); time.Sleep(time.Millisecond) {
		w := httptest.NewRecorder()
		s.Metrics.Handler(func() error { return nil }).ServeHTTP(w, httptest.NewRequest("GET", "/healthz", nil))
		health = w.Body.String()
	}
	if want := "ok\nwarning: shadow: toy@"; !strings.HasPrefix(health, want) {
		t.Errorf("/healthz says %q, want %q", health, want)
	}
	if err := s.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}

// panics is a log that fails as a model may.
type panics struct{}

func (panics) Write([]decision.Record) { panic("on purpose") }
