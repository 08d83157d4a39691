package sidecar

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/rs/zerolog"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/decide/shard"
	"serveflow/sidecar/operate/config"
)

// Private is a sidecar for the caller alone: with default settings, on a socket in
// its own temporary directory.
type Private struct {
	*Sidecar
	Socket string
	dir    string
}

// StartPrivate starts a sidecar that serves b and gives its decisions to d; payload
// says whether it may use bytes of payload.
func StartPrivate(b *bundle.Bundle, payload bool, d shard.Log) (*Private, error) {
	dir, err := os.MkdirTemp("", "serveflow-")
	if err != nil {
		return nil, err
	}
	c := config.Default()
	c.Listen.Socket = filepath.Join(dir, "serveflow.sock")
	c.Listen.Mode = 0o600
	c.Privacy.Payload = payload
	s, err := Start(Options{Config: c, Bundle: b, Log: zerolog.Nop(), Decisions: d})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &Private{s, c.Listen.Socket, dir}, nil
}

// Stop stops the sidecar and removes its directory.
func (p *Private) Stop(ctx context.Context) error {
	return errors.Join(p.Sidecar.Stop(ctx), os.RemoveAll(p.dir))
}
