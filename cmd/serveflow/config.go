package main

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/term"

	"serveflow/sidecar"
	"serveflow/sidecar/bundle"
	"serveflow/sidecar/model/remote"
	"serveflow/sidecar/operate/config"
	"serveflow/sidecar/operate/logger"
)

// configFlags are the flags that set the configuration.
type configFlags struct {
	Config string `short:"c" type:"existingfile" placeholder:"FILE" help:"Configuration file (TOML). Default: the built-in defaults."`
	Socket string `placeholder:"PATH" help:"Override listen.socket."`
	Labels string `placeholder:"FILE" help:"Override labels.path."`
	Bundle string `placeholder:"NAME|DIR" help:"Override bundle."`
}

// load returns the configuration and its bundles.
func (f configFlags) load() (sidecar.Loaded, error) {
	c, err := f.read()
	if err != nil {
		return sidecar.Loaded{}, configError{err}
	}
	b, err := openBundle(c.Bundle, c)
	if err != nil {
		return sidecar.Loaded{}, err
	}
	warnSuppress(c, b)
	if c.Shadow.Bundle == "" {
		return sidecar.Loaded{Config: c, Bundle: b}, nil
	}
	shadow, err := openBundle(c.Shadow.Bundle, c)
	if err != nil {
		return sidecar.Loaded{}, closing(fmt.Errorf("shadow.bundle: %w", err), b)
	}
	return sidecar.Loaded{Config: c, Bundle: b, Shadow: shadow}, nil
}

// read returns the configuration.
func (f configFlags) read() (config.Config, error) {
	c := config.Default()
	if f.Config != "" {
		var err error
		if c, err = config.Load(f.Config); err != nil {
			return c, err
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
	return c, c.Validate()
}

// warnSuppress logs entries of suppress that match no flow, because the bundle has no such label.
// They are no error: another bundle may have it.
func warnSuppress(c config.Config, b *bundle.Bundle) {
	for i, s := range c.Suppress {
		if slices.Contains(b.Manifest.Labels, s.Label) {
			continue
		}
		log := openLog(c.Log)
		log.Warn().Str("bundle", b.Name()).Int("entry", i+1).Str("label", s.Label).
			Msg("suppress: the bundle has no such label; serveflow bundle inspect lists those it has")
		log.Close()
	}
}

func openBundle(name string, c config.Config) (*bundle.Bundle, error) {
	b, err := bundle.Open(name, bundle.Options{
		Library: c.ONNX.Library, Batch: c.ONNX.Batch, NoPayload: !c.Privacy.Payload, TrustedKeys: c.TrustedKeys,
		Inference: remote.Options{
			Endpoints: c.Inference.Endpoints, TLS: c.Inference.TLS, CA: c.Inference.CA,
			OnChange: func(endpoint string, err error) { logServer(c.Log, endpoint, err) },
		},
		Warn: func(text string) { log := openLog(c.Log); log.Warn().Str("bundle", name).Msg(text); log.Close() },
	})
	if err != nil {
		return nil, configError{err}
	}
	return b, nil
}

// logServer says that an inference server is in use, or why it is not.
func logServer(c config.Log, endpoint string, err error) {
	log := openLog(c)
	defer log.Close()
	if err == nil {
		log.Info().Str("server", endpoint).Msg("inference server is in use")
	} else {
		log.Warn().Err(err).Str("server", endpoint).Msg("inference server is not in use")
	}
}

// openLog opens the program's own log on standard error.
func openLog(c config.Log) *logger.Log {
	console := c.Format == "console" || c.Format == "auto" && term.IsTerminal(int(os.Stderr.Fd()))
	return logger.New(os.Stderr, logger.Options{Level: c.Level, Console: console})
}

// closing closes bundles, which may be nil, and joins their errors to err.
func closing(err error, bundles ...*bundle.Bundle) error {
	for _, b := range bundles {
		if b != nil {
			err = errors.Join(err, b.Close())
		}
	}
	return err
}
