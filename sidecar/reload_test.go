package sidecar

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/config"
)

// TestReloadsInARow: bundles that are let go at the same moment are all let go,
// so that there is always room for another.
func TestReloadsInARow(t *testing.T) {
	open := func(version int) *bundle.Bundle {
		b, err := bundle.Open("../test/bundle/toy", bundle.Options{})
		if err != nil {
			t.Fatal(err)
		}
		b.Manifest.Version = fmt.Sprintf("2.0.%d", version)
		return b
	}
	c := config.Default()
	c.Listen.Socket = filepath.Join(t.TempDir(), "s.sock")
	c.Flow.Shards = 1
	first := open(0)
	defer first.Close()
	s, err := Start(Options{Config: c, Bundle: first, Log: zerolog.Nop(), Decisions: discard{}})
	if err != nil {
		t.Fatal(err)
	}
	version := 0
	until := time.Now().Add(10 * time.Second)
	for version < 100 && time.Now().Before(until) {
		switch applied, err := s.Reload(open(version + 1)); {
		case errors.Is(err, errBusy):
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
	for until := time.Now().Add(10 * time.Second); len(s.inUse()) > 1 && time.Now().Before(until); {
		time.Sleep(time.Millisecond)
	}
	if n := len(s.inUse()); n != 1 {
		t.Errorf("%d bundles are in use for no flow", n-1)
	}
	if err := s.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
}
