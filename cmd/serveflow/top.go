package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"serveflow/sidecar/operate/config"
	"serveflow/sidecar/operate/scrape"
	"serveflow/sidecar/operate/terminal"
	"serveflow/sidecar/operate/top"
)

type topCmd struct {
	Address string        `default:"${metrics}" placeholder:"HOST:PORT" help:"The sidecar's telemetry.listen (${default})."`
	Every   time.Duration `default:"2s" help:"How often the view is drawn (${default})."`
	Once    bool          `help:"Print one view, of all since the sidecar's start, and end."`
}

// Help is the text below the flags.
func (topCmd) Help() string {
	return `Shows what the flows of the last seconds were, which stages decided them, how soon,
and what was lost. Without a terminal it prints one view, as with --once.`
}

// Validate implements kong's interface: what it refuses is a wrong command line.
func (t topCmd) Validate() error {
	if t.Every < 100*time.Millisecond {
		return errors.New("--every is at least 100ms")
	}
	if _, _, err := net.SplitHostPort(t.Address); err != nil || strings.Contains(t.Address, "/") {
		return fmt.Errorf("--address %s: want HOST:PORT, as in %s", t.Address, metricsAddress())
	}
	return nil
}

// The sizes of a view that is not drawn on a terminal.
const plainColumns, plainLines = 100, 60

func (t topCmd) Run(ctx context.Context) error {
	client := scrape.New(t.Address)
	if t.Once || !term.IsTerminal(int(os.Stdout.Fd())) {
		now, err := top.Take(ctx, client)
		if err == nil {
			_, err = io.WriteString(os.Stdout, top.Screen(top.Sample{}, now, plainColumns, plainLines))
		}
		return t.explain(err)
	}
	const leave = "\x1b[?25h\x1b[?1049l"
	fmt.Print("\x1b[?1049h\x1b[?25l") // another screen, without the cursor
	defer fmt.Print(leave)
	var before top.Sample
	for ticker := time.NewTicker(t.Every); ; {
		now, err := top.Take(ctx, client)
		if ctx.Err() != nil {
			return nil
		}
		columns, lines := viewSize(int(os.Stdout.Fd()))
		text := terminal.Clean(fmt.Sprintf("%v\n", t.explain(err)))
		if err == nil {
			text = top.Screen(before, now, columns, lines)
			before = now
		}
		fmt.Print("\x1b[H\x1b[2J" + text)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// viewSize is the size of the view on a terminal. Some, such as serial consoles, do not
// have one.
func viewSize(terminal int) (columns, lines int) {
	if w, h, err := term.GetSize(terminal); err == nil && w > 0 && h > 1 {
		return w, h - 1
	}
	return plainColumns, plainLines
}

func (t topCmd) explain(err error) error {
	if err != nil {
		return fmt.Errorf("%w (is a sidecar running, and is its telemetry.listen %s?)", err, t.Address)
	}
	return nil
}

// metricsAddress is where a sidecar without a configuration answers.
func metricsAddress() string { return config.Default().Telemetry.Listen }
