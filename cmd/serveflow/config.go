package main

import (
	"errors"
	"os"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/term"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/operate/config"
)

// configFlags are the configuration as the command line gives it.
type configFlags struct {
	Config string `short:"c" type:"existingfile" placeholder:"FILE" help:"Configuration (TOML). Without one, defaults that run."`
	Socket string `placeholder:"PATH" help:"In place of listen.socket."`
	Labels string `placeholder:"FILE" help:"In place of labels.path."`
	Bundle string `placeholder:"NAME|DIR" help:"In place of bundle."`
}

// load returns the configuration and its bundle.
func (f configFlags) load() (config.Config, *bundle.Bundle, error) {
	c := config.Default()
	if f.Config != "" {
		var err error
		if c, err = config.Load(f.Config); err != nil {
			return c, nil, configError{err}
		}
	}
	for _, over := range []struct {
		value string
		place *string
	}{{f.Socket, &c.Listen.Socket}, {f.Labels, &c.Labels.Path}, {f.Bundle, &c.Bundle}} {
		if over.value != "" {
			*over.place = over.value
		}
	}
	if err := c.Validate(); err != nil {
		return c, nil, configError{err}
	}
	b, err := openBundle(c.Bundle, c)
	return c, b, err
}

func openBundle(name string, c config.Config) (*bundle.Bundle, error) {
	b, err := bundle.Open(name, bundle.Options{
		Library: c.ONNX.Library, Batch: c.ONNX.Batch,
		Warn: func(text string) { log := logger(c.Log); log.Warn().Str("bundle", name).Msg(text) },
	})
	if err != nil {
		return nil, configError{err}
	}
	return b, nil
}

// logger writes to standard error as the configuration says.
func logger(c config.Log) zerolog.Logger {
	zerolog.TimeFieldFormat = time.RFC3339Nano
	console := c.Format == "console" || c.Format == "auto" && term.IsTerminal(int(os.Stderr.Fd()))
	log := zerolog.New(os.Stderr)
	if console {
		log = zerolog.New(zerolog.ConsoleWriter{Out: os.Stderr, TimeFormat: time.TimeOnly})
	}
	level, err := zerolog.ParseLevel(c.Level)
	if err != nil {
		level = zerolog.InfoLevel
	}
	return log.Level(level).With().Timestamp().Logger()
}

// closing returns err, and what closing the bundle adds to it.
func closing(b *bundle.Bundle, err error) error { return errors.Join(err, b.Close()) }
