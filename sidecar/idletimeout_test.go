package sidecar

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/operate/config"
)

// TestQuietTimeOfAnotherTraining: a bundle that was trained for another quiet
// time is served, and the log says so.
func TestQuietTimeOfAnotherTraining(t *testing.T) {
	for trained, warned := range map[int]bool{0: false, 10: false, 60: true} {
		b, err := bundle.Open("../test/bundle/toy", bundle.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		b.Manifest.Features.IdleTimeout = trained
		c := config.Default()
		c.Listen.Socket = filepath.Join(t.TempDir(), "s.sock")
		c.Flow.IdleTimeout = 10 * time.Second
		var log strings.Builder
		s, err := Start(Options{Config: c, Bundle: b, Log: zerolog.New(&log), Decisions: discard{}})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
		if said := strings.Contains(log.String(), "differs from the bundle's training"); said != warned {
			t.Errorf("trained for %d s, served with 10 s: warned %v, want %v:\n%s", trained, said, warned, log.String())
		}
	}
}
