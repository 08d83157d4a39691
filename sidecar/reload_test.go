package sidecar

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/decide/shard"
	"serveflow/sidecar/operate/config"
)

// toyBundle is the toy bundle as another version, which is closed by who is given it.
func toyBundle(t *testing.T, version int) *bundle.Bundle {
	t.Helper()
	b, err := bundle.Open("../test/bundle/toy", bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b.Manifest.Version = fmt.Sprintf("2.0.%d", version)
	return b
}

// TestReloadsInARow: bundles that are let go at the same moment are all let go,
// so that there is always room for another.
func TestReloadsInARow(t *testing.T) {
	c := config.Default()
	c.Listen.Socket = filepath.Join(t.TempDir(), "s.sock")
	c.Flow.Shards = 1
	first := toyBundle(t, 0)
	defer first.Close()
	s, err := Start(Options{Config: c, Bundle: first, Log: zerolog.Nop(), Decisions: discard{}})
	if err != nil {
		t.Fatal(err)
	}
	version := 0
	until := time.Now().Add(10 * time.Second)
	for version < 100 && time.Now().Before(until) {
		switch applied, err := s.Reload(toyBundle(t, version+1)); {
		case errors.Is(err, shard.ErrBusy):
			time.Sleep(time.Millisecond)
		case err != nil:
			t.Fatal(err)
		case applied:
			version++
		default:
			t.Fatalf("bundle %d is the same", version+1)
		}
	}
	if version < 100 {
		t.Errorf("%d bundles were served, and no more", version)
	}
	bundles := func() (n int) {
		families, err := s.Metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "serveflow_bundle_info" {
				n = len(f.GetMetric())
			}
		}
		return n
	}
	for until := time.Now().Add(10 * time.Second); bundles() > 1 && time.Now().Before(until); {
		time.Sleep(time.Millisecond)
	}
	if n := bundles(); n != 1 {
		t.Errorf("%d bundles are in use for no flow", n-1)
	}
	if err := s.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// A sidecar that has stopped can be stopped again, and refuses bundles.
func TestStopTwiceAndReloadAfter(t *testing.T) {
	b := toyBundle(t, 0)
	defer b.Close()
	c := config.Default()
	c.Listen.Socket = filepath.Join(t.TempDir(), "s.sock")
	c.EVE.Listen, c.EVE.Output = filepath.Join(t.TempDir(), "eve.sock"), filepath.Join(t.TempDir(), "eve.json")
	s, err := Start(Options{Config: c, Bundle: b, Log: zerolog.Nop(), Decisions: discard{}})
	if err != nil {
		t.Fatal(err)
	}
	stopped := make(chan error)
	for range 3 {
		go func() { stopped <- s.Stop(context.Background()) }()
	}
	for range 3 {
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	}
	if applied, err := s.Reload(toyBundle(t, 0)); applied || !errors.Is(err, shard.ErrStopped) {
		t.Errorf("a reload after the stop: %v, %v", applied, err)
	}
	(&supervisor{Sidecar: s, options: Options{Config: c, Log: zerolog.Nop(), Load: func() (Loaded, error) { return Loaded{Config: c, Bundle: toyBundle(t, 0)}, nil }}}).reload()
	s.pool.EndReported("", []flow.Event{{Kind: flow.EndReported}})
	if err := s.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}

// TestSpread: Go uses as many threads after a reload as before it, whoever said
// how many these are, be the bundle taken over or refused.
func TestSpread(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	runtime.SetDefaultGOMAXPROCS()
	before := runtime.GOMAXPROCS(0)
	b, err := bundle.Open("../test/bundle/toy", bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	c := config.Default()
	c.Listen.Socket = filepath.Join(t.TempDir(), "s.sock")
	s, err := Start(Options{Config: c, Bundle: b, Log: zerolog.Nop(), Decisions: discard{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, said := range []string{"", fmt.Sprint(before + 3)} {
		want := before
		t.Setenv("GOMAXPROCS", said)
		if said != "" {
			want = before + 3
			runtime.GOMAXPROCS(want)
		}
		for _, refused := range []error{nil, errors.New("not sound")} {
			during := 0
			(&supervisor{Sidecar: s, options: Options{Config: c, Log: zerolog.Nop(), Load: func() (Loaded, error) {
				during = runtime.GOMAXPROCS(0)
				if refused != nil {
					return Loaded{}, refused
				}
				again, err := bundle.Open("../test/bundle/toy", bundle.Options{})
				return Loaded{Config: c, Bundle: again}, err
			}}}).reload()
			if after := runtime.GOMAXPROCS(0); during != want+1 || after != want {
				t.Errorf("GOMAXPROCS=%q, refused: %v: %d threads while it loads and %d after it, want %d and %d", said, refused, during, after, want+1, want)
			}
		}
	}
	if err := s.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
}
