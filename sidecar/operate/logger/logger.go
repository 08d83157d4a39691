// Package logger is the program's own log, on standard error:
//
//	l := logger.New(os.Stderr, logger.Options{Level: "info", Format: "json"})
//	defer l.Close()
//	l.Info().Msg("ready") // by any goroutine
//
// What the package promises:
//   - Logging never blocks and never fails. Lines are queued in memory up to a
//     bound. Lines beyond it, and lines that a broken pipe does not take, are
//     dropped and counted; once lines can be written again, one reports how many
//     were lost.
//   - A repeated event fills neither the log nor the disk: each message of a level
//     has a budget, and the next line within it reports how many were withheld.
//   - Text from outside cannot control a terminal.
package logger

import (
	"bytes"
	"io"
	"time"

	"github.com/rs/zerolog"

	"serveflow/sidecar/operate/terminal"
)

// Options configure a log.
type Options struct {
	Level   string // debug, info, warn or error; else info
	Console bool   // lines for a person; else JSON
}

// Log is an open log. Its methods may be called by many goroutines at once.
type Log struct {
	zerolog.Logger
	out     *writer
	repeats *limiter
}

// New returns a log that writes to out in the background.
func New(out io.Writer, o Options) *Log {
	zerolog.TimeFieldFormat = time.RFC3339Nano
	level, err := zerolog.ParseLevel(o.Level)
	if err != nil || o.Level == "" {
		level = zerolog.InfoLevel
	}
	line := func(lost uint64) []byte {
		var b bytes.Buffer
		l := zerolog.New(format(&b, o)).With().Timestamp().Logger()
		l.Warn().Uint64("lines", lost).Msg("lines of this log were lost: it was not read or could not be written")
		return b.Bytes()
	}
	l := &Log{out: newWriter(out, line), repeats: newLimiter()}
	l.Logger = zerolog.New(format(l.out, o)).Level(level).Hook(l.repeats).With().Timestamp().Logger()
	return l
}

func format(out io.Writer, o Options) io.Writer {
	if !o.Console {
		return out
	}
	return zerolog.ConsoleWriter{
		Out: out, TimeFormat: time.TimeOnly,
		// Fields are quoted where they need it, but messages are not.
		FormatMessage: func(message any) string {
			s, _ := message.(string)
			return terminal.Clean(s)
		},
	}
}

// Dropped is the number of lines that are not in the log: lost or withheld.
func (l *Log) Dropped() uint64 { return l.out.lost.Load() + l.repeats.withheld.Load() }

// Close writes the queue, for at most a second, and drops later lines.
func (l *Log) Close() { l.out.close() }
