// Package sidecar wires the parts together: taps, flow tables, models and outputs.
// Only this package knows all of them.
//
// A packet takes one path: ingest reads it from a tap's socket and sends it to the
// shard that owns its flow; the shard stores it, extracts features of the flow's
// packets, asks the cascade, and gives the decision to the label log and, through
// ingest, back to the tap.
package sidecar

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/decide/cascade"
	"serveflow/sidecar/decide/shard"
	"serveflow/sidecar/decide/suppress"
	"serveflow/sidecar/operate/config"
	"serveflow/sidecar/operate/memory"
	"serveflow/sidecar/operate/telemetry"
	"serveflow/sidecar/operate/unixsocket"
	"serveflow/sidecar/output/decision"
	"serveflow/sidecar/output/eve"
	"serveflow/sidecar/output/kafka"
	"serveflow/sidecar/output/labellog"
	"serveflow/sidecar/tap/ingest"
)

// Options configure a sidecar.
type Options struct {
	Config config.Config
	Bundle *bundle.Bundle // stays the caller's to close, after Stop
	// Shadow decides beside Bundle, with the labels in a log of its own; nil: none. It
	// stays the caller's to close, too.
	Shadow *bundle.Bundle
	// Load reads the configuration and its bundles again for a reload, of which
	// only the bundles are used; nil: Serve reloads nothing.
	Load    func() (Loaded, error)
	Version string // of the program
	Log     zerolog.Logger
	// LogDropped returns how many lines Log has dropped; nil: not counted.
	LogDropped func() uint64
	// Decisions takes the decisions in place of the label log, which is then not
	// opened.
	Decisions shard.Log
	// ShadowDecisions takes those of the shadow in the same way.
	ShadowDecisions shard.Log
}

// Loaded is what a reload has read. The bundles belong to who gets it; Shadow may be nil.
type Loaded struct {
	Config         config.Config
	Bundle, Shadow *bundle.Bundle
}

// Sidecar is a running sidecar.
type Sidecar struct {
	Memory       Memory // what the parts may use
	Metrics      *telemetry.Metrics
	options      Options
	labels       *labellog.Log // nil if Options.Decisions is set
	eve          *eve.Sink     // nil if the configuration names no socket for EVE
	kafka        *kafka.Stream // nil if the configuration names no broker
	pool         *shard.Pool
	shadow       *shadow         // nil: the configuration names none
	suppress     *suppress.Rules // nil: none
	server       *ingest.Server
	driftMonitor *driftMonitor
	stop         sync.Once
	stopped      error // what Stop returned
}

// Start starts a sidecar. It listens when Start returns.
func Start(o Options) (*Sidecar, error) {
	s := &Sidecar{options: o, Metrics: telemetry.New(telemetry.Options{
		Version: o.Version,
		Reasons: cascade.ReasonNames(),
	})}
	if err := s.start(o); err != nil {
		return nil, errors.Join(err, s.Stop(context.Background()))
	}
	return s, nil
}

func (s *Sidecar) start(o Options) error {
	s.warnUnlikeTraining(o.Bundle)
	c := o.Config
	socket := unixsocket.Socket{
		Path: c.Listen.Socket, Mode: c.Listen.Mode, Owner: c.Listen.Owner, Group: c.Listen.Group,
	}
	// First of all, because another sidecar may be writing the logs.
	if err := socket.Free(); err != nil {
		return fmt.Errorf("listening on %s: %w", socket.Path, err)
	}
	s.Memory = DivideMemory(&c, o.Bundle, o.Shadow)
	s.Memory.log(&c, o.Log)
	decisions := o.Decisions
	var known shard.RecentlyDecided
	if decisions == nil {
		var err error
		if known, err = s.openLabels(o); err != nil {
			return err
		}
		decisions = s.labels
	}
	if len(c.Kafka.Brokers) > 0 {
		var err error
		if s.kafka, err = kafka.Open(KafkaOptions(c.Kafka, s.Memory.Kafka, o.Log)); err != nil {
			return err
		}
		s.Metrics.Register(s.kafka)
		decisions = teeLog{s.kafka, decisions} // which is in its files before the other is
	}
	if c.EVE.Listen != "" {
		var err error
		if s.eve, err = eve.New(s.eveOptions(o)); err != nil {
			return fmt.Errorf("eve.output: %w", err)
		}
		decisions = teeLog{s.eve, decisions} // in this order: eve sets Agrees, which the label log writes
	}
	s.suppress = suppressRules(c.Suppress)
	pool := poolOptions(&c, o.Bundle, s.Metrics, o.Log)
	pool.Shard.MaxFlows, pool.Shard.PacketBytes = s.Memory.Flows, s.Memory.packets
	pool.Shard.Suppress, pool.Shard.Log, pool.Shard.RecentlyDecided = s.suppress, decisions, known
	pool.OnLoad = func(shard int, l telemetry.Cell) { logLoad(o.Log, shard, l) }
	var err error
	if s.pool, err = shard.NewPool(pool); err != nil {
		return err
	}
	if o.Shadow != nil {
		if err := s.startShadow(o); err != nil {
			return err
		}
	}
	s.server, err = ingest.Listen(ingest.Options{
		Socket:         socket,
		AllowUIDs:      c.Listen.AllowUIDs,
		MaxConnections: s.Memory.Connections,
		HelloTimeout:   c.Listen.HelloTimeout,
		IdleTimeout:    c.Listen.IdleTimeout,
		Replies:        memory.NewBudget(s.Memory.Replies),
		Needs:          s.pool.Asked(),
		Router:         s.pool.Router,
		Log:            o.Log,
		Metrics:        s.Metrics,
	})
	if err != nil {
		return fmt.Errorf("listening on %s: %w", c.Listen.Socket, err)
	}
	s.pool.Announce(s.server.SetNeeds)
	if s.eve != nil {
		if err := s.eve.Listen(s.pool); err != nil {
			return fmt.Errorf("listening on %s: %w", c.EVE.Listen, err)
		}
	}
	s.Metrics.Register(inference{s.pool.Bundle})
	s.registerMetrics()
	s.driftMonitor = s.startDriftMonitor()
	return nil
}

// poolOptions are those that do not depend on what the pool is for.
func poolOptions(c *config.Config, b *bundle.Bundle, m *telemetry.Metrics, log zerolog.Logger) shard.PoolOptions {
	failures := &modelFailures{log: log}
	return shard.PoolOptions{
		Bundle: b,
		Shards: shards(c),
		Shard: shard.Options{
			IdleTimeout: c.Flow.IdleTimeout,
			Retention:   c.Flow.Retention,
			Deadline:    c.Flow.Deadline,
			Payload:     c.Privacy.Payload,
			OnError:     failures.report,
		},
		Jobs:    c.ONNX.Queue,
		Batch:   c.ONNX.Batch,
		Metrics: m,
	}
}

func (s *Sidecar) eveOptions(o Options) eve.Options {
	c := &o.Config.EVE
	var labelled func(string, []byte)
	if s.kafka != nil {
		labelled = s.kafka.EVE
	}
	return eve.Options{
		Labelled:   labelled,
		Socket:     unixsocket.Socket{Path: c.Listen, Mode: c.Mode, Owner: c.Owner, Group: c.Group},
		Sensor:     c.Sensor,
		Output:     c.Output,
		MaxBytes:   c.MaxSize,
		Keep:       c.Keep,
		Wait:       c.Wait,
		MaxWaiting: c.MaxWaiting,
		MaxLabels:  s.Memory.Flows,
		Memory:     s.Memory.EVE,
		Log:        o.Log,
		Metrics:    s.Metrics,
	}
}

// teeLog gives decisions to two logs.
type teeLog [2]shard.Log

func (b teeLog) Write(records []decision.Record) {
	b[0].Write(records)
	b[1].Write(records)
}

// openLabels opens the label log and reads which flows were recently decided.
func (s *Sidecar) openLabels(o Options) (shard.RecentlyDecided, error) {
	known, err := labellog.ReadDecided(o.Config.Labels.Path)
	if err != nil {
		return nil, fmt.Errorf("reading the label log: %w", err)
	}
	s.labels, err = s.openLog("label log", o.Config.Labels)
	return known, err
}

// openLog opens a label log.
func (s *Sidecar) openLog(name string, c config.Labels) (*labellog.Log, error) {
	log := s.options.Log
	l, err := labellog.Open(c.Path, labellog.Options{
		MaxBytes: c.MaxSize,
		Keep:     c.Keep,
		OnError:  func(err error) { log.Error().Err(err).Msg(name) },
	})
	if err != nil {
		return nil, fmt.Errorf("opening the %s: %w", name, err)
	}
	if n := l.Repaired(); n > 0 {
		log.Warn().Int64("bytes", n).Msg(name + ": removed a torn last line")
		s.Metrics.Count(telemetry.LogBytesRepaired, uint64(n))
	}
	return l, nil
}

// registerMetrics makes the metrics read what other packages count.
func (s *Sidecar) registerMetrics() {
	s.Metrics.Read(telemetry.Peers, s.server.Peers)
	s.Metrics.ReadStatus(s.status)
	s.Metrics.ReadSuppressed(s.suppressed)
	if dropped := s.options.LogDropped; dropped != nil {
		s.Metrics.Read(telemetry.DropOwnLog, func() int { return int(dropped()) })
	}
	if s.labels != nil {
		s.Metrics.Read(telemetry.DropLogFull, func() int { return int(s.labels.Stats().Dropped) })
		s.Metrics.Read(telemetry.LogErrors, func() int { return int(s.labels.Stats().Errors) })
	}
	if s.shadow != nil {
		s.Metrics.ReadShadow(s.shadow.read)
	}
}

// suppressRules are the rules of the configuration, nil for none.
func suppressRules(list []config.Suppress) *suppress.Rules {
	var rules []suppress.Rule
	for _, s := range list {
		rules = append(rules, suppress.Rule{Label: s.Label, Networks: s.Network, Ports: s.Port, Below: float32(s.Below)})
	}
	return suppress.New(rules)
}

// suppressed is what the metrics say of the rules.
func (s *Sidecar) suppressed() (all []telemetry.Suppressed) {
	for _, h := range s.suppress.Hits() {
		all = append(all, telemetry.Suppressed{Rule: h.Rule, Label: h.Label, Count: h.Count})
	}
	return all
}

// status is the answer to /status.
func (s *Sidecar) status() telemetry.Status {
	status := telemetry.Status{Version: s.options.Version, Bundle: s.pool.Bundle().Name(), Taps: s.server.Status()}
	if s.shadow != nil {
		status.Shadow = s.shadow.name()
	}
	if s.eve != nil {
		n := s.eve.Connections()
		status.EVEConnections = &n
	}
	return status
}

// Alive is nil while every shard responds.
func (s *Sidecar) Alive() error { return s.pool.Alive() }

// Health is nil while every shard responds and no live flow waits too long.
func (s *Sidecar) Health() error { return s.pool.Health() }

// Reload serves b, see shard.Pool.
func (s *Sidecar) Reload(b *bundle.Bundle) (bool, error) {
	s.warnUnlikeTraining(b)
	return s.pool.Reload(b)
}

// Reopen flushes the label log and the log of EVE records and reopens their files,
// after another program has rotated them.
func (s *Sidecar) Reopen() (err error) {
	if s.labels != nil {
		err = s.labels.Reopen()
	}
	if s.shadow != nil && s.shadow.labels != nil {
		err = errors.Join(err, s.shadow.labels.Reopen())
	}
	if s.eve != nil {
		err = errors.Join(err, s.eve.Reopen())
	}
	return err
}

// Stop stops the sidecar: everything that taps and Suricata have sent is handled,
// open flows get their best label so far, the logs are written and, for as long as
// ctx allows, labels are sent. A second call waits for the first and returns the
// same.
func (s *Sidecar) Stop(ctx context.Context) error {
	s.stop.Do(func() {
		var errs []error
		if s.driftMonitor != nil {
			s.driftMonitor.close()
		}
		if s.server != nil {
			errs = append(errs, s.server.Stop())
		}
		if s.eve != nil {
			errs = append(errs, s.eve.Stop())
		}
		if s.pool != nil {
			errs = append(errs, s.pool.Stop())
		}
		if s.shadow != nil {
			errs = append(errs, s.shadow.close())
		}
		if s.eve != nil {
			errs = append(errs, s.eve.Close())
		}
		if s.labels != nil {
			errs = append(errs, s.labels.Close())
		}
		if s.kafka != nil {
			errs = append(errs, s.kafka.Close(ctx))
		}
		if s.server != nil {
			s.server.Close(ctx)
		}
		s.stopped = errors.Join(errs...)
	})
	return s.stopped
}

// warnUnlikeTraining warns if the configuration changes what models see of flows
// compared with the bundle's training.
func (s *Sidecar) warnUnlikeTraining(b *bundle.Bundle) {
	timeout := s.options.Config.Flow.IdleTimeout
	if trained := time.Duration(b.Manifest.Features.IdleTimeout) * time.Second; trained != 0 && trained != timeout {
		s.options.Log.Warn().Stringer("idle_timeout", timeout).Stringer("trained", trained).
			Msg("flow.idle_timeout differs from the bundle's training: labels of flows that pause will be less accurate")
	}
	if b.PayloadBytes() > 0 && !s.options.Config.Privacy.Payload {
		s.options.Log.Warn().Str("bundle", b.Name()).
			Msg("privacy.payload is false but the bundle uses payload: its labels will be much less accurate, see its datasheet")
	}
}

// logLoad logs a shard's new load state.
func logLoad(log zerolog.Logger, shard int, l telemetry.Cell) {
	event := log.Warn()
	if l == telemetry.LoadSteady {
		event = log.Info()
	}
	event.Int("shard", shard).Stringer("load", l).Msg(map[telemetry.Cell]string{
		telemetry.LoadSteady:   "load: back to normal, all stages are used as the bundle says",
		telemetry.LoadRelaxed:  "load: thresholds are lowered so that fewer flows need slow stages",
		telemetry.LoadShedding: "load: shedding, flows are decided without slow stages",
	}[l])
}
