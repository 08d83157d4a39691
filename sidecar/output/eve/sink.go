package eve

import (
	"bytes"
	"net"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"serveflow/sidecar/decide/cascade"
	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/operate/memory"
	"serveflow/sidecar/operate/telemetry"
	"serveflow/sidecar/operate/unixsocket"
	"serveflow/sidecar/output/decision"
	"serveflow/sidecar/output/logfile"
)

// Options configure a Sink.
type Options struct {
	Socket     unixsocket.Socket
	Sensor     string        // of the records on the socket
	Output     string        // a path for logfile.Open
	MaxBytes   int64         // size at which an output file is rotated
	Keep       int           // number of rotated files
	Wait       time.Duration // how long a flow record waits for its label; 0: not at all
	MaxWaiting int           // most flow records that wait at a time, at least 1
	MaxLabels  int           // most labels kept, at least 1
	Memory     int64         // bytes that records may take, 0: 192 MiB
	// Labelled, if set, gets each record that got a label, and keeps nothing of it. It
	// does not wait.
	Labelled func(sensor string, record []byte)
	Log      zerolog.Logger
	Metrics  *telemetry.Metrics
}

// Flows is where the sensor's flows are decided: a *shard.Pool.
type Flows interface {
	// Taps returns how many taps of the sensor may still send events, and whether one
	// of them reads a capture.
	Taps(sensor string) (n int, capture bool)
	// EndReported sends the shards the ends of flows whose records have come. It may
	// wait for busy shards.
	EndReported(sensor string, events []flow.Event)
}

// defaultMemory is how many bytes records may take.
const defaultMemory = 192 << 20

// What records may take is divided: a third is for those that wait for their labels, a
// third for long ones that come and what comes faster than it is read, and a third for
// those that the output has not taken, half of it waiting and half on its way.
const shares = 3

// maxConnections is the most connections served at a time. Suricata makes one for
// each output, or one for each of its threads.
const maxConnections = 256

// flowEnd is the reason of decisions that a flow record triggers.
var flowEnd = cascade.FlowEnd.String()

// Sink is the listener, the labels, the held records and the output.
type Sink struct {
	options  Options
	flows    Flows
	out      *logfile.File
	listener *unixsocket.Listener

	mu          sync.Mutex // never held for long: shards wait for it
	labels      labels
	waiting     waiting
	conns       map[*net.UnixConn]struct{}
	places      *unixsocket.Places
	incoming    *memory.Budget // of all connections
	hadTap      bool           // the sensor has had a tap
	warnedNoTap bool           // a warning was logged that it has none

	releaseWanted chan struct{} // records may be written
	reportWanted  chan struct{} // ends are to be reported to the shards
	stop          chan struct{}
	accepts       sync.WaitGroup
	readers       sync.WaitGroup
	tasks         sync.WaitGroup // releaseLoop and reportLoop
}

// New opens the output and returns a sink that takes decisions.
func New(o Options) (*Sink, error) {
	if o.Memory == 0 {
		o.Memory = defaultMemory
	}
	share := int(o.Memory / shares)
	out, err := logfile.Open(o.Output, logfile.Options{
		Name: "log of EVE records", Key: "eve.output", MaxBytes: o.MaxBytes, Keep: o.Keep,
		Buffer: share / 2, MaxLine: share / 2,
		IsLine: func(text []byte) bool {
			return bytes.HasPrefix(text, recordPrefix) || bytes.HasPrefix(recordPrefix, text)
		},
		OnError: func(err error) { o.Log.Error().Err(err).Msg("EVE output") },
	})
	if err != nil {
		return nil, err
	}
	s := &Sink{
		options: o, out: out, labels: newLabels(o.MaxLabels), waiting: newWaiting(share),
		incoming: memory.NewBudget(int64(share)),
		conns:    map[*net.UnixConn]struct{}{}, places: unixsocket.NewPlaces(maxConnections),
		releaseWanted: make(chan struct{}, 1), reportWanted: make(chan struct{}, 1), stop: make(chan struct{}),
	}
	o.Metrics.Read(telemetry.EVEForwarded, func() int { return int(out.Stats().Written) })
	o.Metrics.Read(telemetry.EVEDropped, func() int { return int(out.Stats().Dropped) })
	o.Metrics.Read(telemetry.EVEWaiting, s.Waiting)
	return s, nil
}

// Listen makes the socket and begins to serve. The shards of f must run until Stop
// has returned.
func (s *Sink) Listen(f Flows) error {
	l, err := s.options.Socket.Listen()
	if err != nil {
		return err
	}
	s.flows, s.listener = f, l
	s.accepts.Go(func() {
		l.Serve(s.serve, func(err error) {
			s.options.Log.Error().Err(err).Msg("EVE: cannot accept connections; retrying")
		})
	})
	s.tasks.Go(s.releaseLoop)
	s.tasks.Go(s.reportLoop)
	return nil
}

// Write takes decisions of the sink's sensor and of others. It sets Agrees of the
// decisions that a held flow record triggered. It implements shard.Log.
func (s *Sink) Write(records []decision.Record) {
	now, ready := time.Now(), false
	s.mu.Lock()
	for i := range records {
		r := &records[i]
		if r.Sensor != s.options.Sensor || r.Flow.IsString() {
			continue
		}
		l := s.labels.put(r)
		if h := s.waiting.answer(l, s.labels.words[l.words]); h != nil {
			if r.Reason == flowEnd {
				r.Agrees = h.agrees(r.Services)
			}
			s.labels.end(l.flow, now)
			ready = true
		}
	}
	s.mu.Unlock()
	if ready {
		wake(s.releaseWanted)
	}
}

// Waiting is the number of flow records that wait for their labels.
func (s *Sink) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting.queue.Len()
}

// labelled passes on a record that got a label.
func (s *Sink) labelled(record []byte) {
	if s.options.Labelled != nil {
		s.options.Labelled(s.options.Sensor, record)
	}
}

// Connections is the number of connections that records come over.
func (s *Sink) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Reopen reopens the output, after another program has rotated it.
func (s *Sink) Reopen() error { return s.out.Reopen() }

// Stop accepts no more connections, handles what has come so far, and reports the
// ends of the flows whose records still wait to the shards. It does nothing if
// Listen has not succeeded, and must come before Close if it has.
func (s *Sink) Stop() error {
	if s.listener == nil {
		return nil
	}
	err := s.listener.Close()
	s.accepts.Wait()
	s.mu.Lock()
	for conn := range s.conns {
		conn.CloseRead()
	}
	s.mu.Unlock()
	s.readers.Wait()
	close(s.stop)
	s.tasks.Wait()
	if last := s.finalEndReports(); len(last) > 0 {
		s.flows.EndReported(s.options.Sensor, last)
	}
	return err
}

// Close writes the records that still wait, with the labels that have come, and
// closes the output.
func (s *Sink) Close() error {
	s.mu.Lock()
	s.waiting.releaseAll()
	s.mu.Unlock()
	s.writeReady()
	return s.out.Close()
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// serve starts to serve a connection.
func (s *Sink) serve(conn *net.UnixConn) {
	pid, uid, err := unixsocket.Credentials(conn)
	log := s.options.Log.With().Int("pid", pid).Uint32("uid", uid).Logger()
	var place *unixsocket.Place
	if err == nil {
		place, err = s.places.Take(pid, uid, func() {
			log.Warn().Msg("EVE connection closed to admit another: its process had the most connections and it was idle longest")
			s.options.Metrics.Count(telemetry.DropLimit, 1)
			conn.CloseRead()
		})
	}
	if err != nil {
		log.Warn().Err(err).Msg("EVE connection refused")
		s.options.Metrics.Count(telemetry.DropLimit, 1)
		conn.Close()
		return
	}
	s.mu.Lock()
	s.conns[conn] = struct{}{}
	s.mu.Unlock()
	s.readers.Go(func() {
		log.Info().Msg("EVE connected")
		ahead := newReadAhead(heard{conn, place}, s.incoming)
		r := newReader(s, ahead)
		err := r.run()
		ahead.release()
		conn.Close()
		place.Leave()
		s.mu.Lock()
		delete(s.conns, conn)
		s.mu.Unlock()
		log.Info().Err(err).Uint64("records", r.records).Uint64("torn", r.torn).Msg("EVE disconnected")
	})
}

// heard is a connection that keeps its place as long as something comes over it.
type heard struct {
	*net.UnixConn
	place *unixsocket.Place
}

func (h heard) Read(b []byte) (int, error) {
	n, err := h.UnixConn.Read(b)
	h.place.Heard()
	return n, err
}
