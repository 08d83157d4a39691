package sidecar

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"serveflow/models"
	"serveflow/sidecar/bundle"
	"serveflow/sidecar/operate/config"
)

// TestPayloadNotPermitted: a bundle that looks at payload is served without where
// the site permits none, and the log says so.
func TestPayloadNotPermitted(t *testing.T) {
	files, err := models.Open("channel")
	if err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Load(files, bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, permitted := range []bool{true, false} {
		c := config.Default()
		c.Listen.Socket = filepath.Join(t.TempDir(), "s.sock")
		c.Privacy.Payload = permitted
		var log strings.Builder
		s, err := Start(Options{Config: c, Bundle: b, Log: zerolog.New(&log), Decisions: discard{}})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
		if warned := strings.Contains(log.String(), "privacy.payload is false"); warned == permitted {
			t.Errorf("permitted %v, warned %v:\n%s", permitted, warned, log.String())
		}
	}
}
