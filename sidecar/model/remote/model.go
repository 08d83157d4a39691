package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	transport "google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"serveflow/sidecar/model"
	"serveflow/sidecar/model/remote/oip"
	"serveflow/sidecar/operate/credentials"
)

// Options say where and how servers are asked.
type Options struct {
	Endpoints []string // host:port
	TLS       bool
	CA        string // file of the authorities that sign servers' certificates; empty: the system's
	Classes   int    // that the bundle has labels for
	Golden    []byte // the file of golden rows
	Tolerance float64
	// OnChange, if set, is told when a server comes into use (nil) or goes out of it.
	OnChange func(endpoint string, err error)
}

// Why there is no answer.
var (
	ErrDown  = errors.New("no inference server is in use")
	ErrLate  = errors.New("the inference server was late")
	ErrWrong = errors.New("the inference server's answer is wrong")
)

// Probe is how often a server that is not in use is tried.
const Probe = time.Second

const (
	probeTime    = 5 * time.Second // for the golden rows
	maxAnswer    = 256 << 10       // bytes of an answer beside twice its probabilities as FP64
	maxHeaders   = 16 << 10        // bytes, which bounds what an error says
	maxColumns   = 1 << 16
	requestsEach = 2 // under way at a server at a time
	lateInRow    = 3
)

// spec is the model's file.
type spec struct {
	Model   string   `json:"model"`
	Version string   `json:"version"`
	Input   string   `json:"input"`
	Output  string   `json:"output"`
	Columns []string `json:"columns"`
	Classes int      `json:"classes"`
}

func (s *spec) check(classes int) error {
	switch {
	case s.Model == "" || s.Version == "" || s.Input == "" || s.Output == "":
		return errors.New("model, version, input and output are all needed")
	case len(s.Columns) == 0 || len(s.Columns) > maxColumns:
		return fmt.Errorf("%d columns: give 1 to %d", len(s.Columns), maxColumns)
	case s.Classes != classes:
		return fmt.Errorf("%d classes, %d are expected", s.Classes, classes)
	}
	return nil
}

// Model is a model on servers.
type Model struct {
	spec
	options   Options
	golden    *model.Golden
	endpoints []*endpoint
	stop      context.CancelFunc
	running   sync.WaitGroup
	requests  [Results]atomic.Uint64
	rows      atomic.Uint64
}

// Load reads the model's file and begins to look for servers. It waits for none.
func Load(data []byte, o Options) (*Model, error) {
	m := &Model{options: o}
	if err := model.ReadJSON(bytes.NewReader(data), &m.spec, 16<<20); err != nil {
		return nil, fmt.Errorf("remote: %w", err)
	}
	if err := m.check(o.Classes); err != nil {
		return nil, fmt.Errorf("remote: %w", err)
	}
	if len(o.Endpoints) == 0 {
		return nil, errors.New("remote: no inference server is named: set inference.endpoints")
	}
	var err error
	if m.golden, err = model.ReadGolden(bytes.NewReader(o.Golden), len(m.spec.Columns), o.Classes); err != nil {
		return nil, fmt.Errorf("remote: %w", err)
	}
	secure, err := o.credentials()
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	m.stop = stop
	for _, address := range o.Endpoints {
		conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(secure),
			grpc.WithMaxHeaderListSize(maxHeaders), grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(),
			grpc.WithConnectParams(quick))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("remote: %s: %w", address, err), m.Close())
		}
		m.endpoints = append(m.endpoints, &endpoint{model: m, address: address, conn: conn, client: oip.NewGRPCInferenceServiceClient(conn)})
	}
	for _, e := range m.endpoints {
		m.running.Go(func() { e.watch(ctx) })
	}
	return m, nil
}

func (o *Options) credentials() (transport.TransportCredentials, error) {
	if !o.TLS {
		return insecure.NewCredentials(), nil
	}
	config, err := credentials.Client(o.CA)
	if err != nil {
		return nil, fmt.Errorf("inference.ca: %w", err)
	}
	return transport.NewTLS(config), nil
}

// Columns implements model.Model.
func (m *Model) Columns() []string { return slices.Clone(m.spec.Columns) }

// Classes implements model.Model.
func (m *Model) Classes() int { return m.spec.Classes }

// Workers is how many scorers are best used at a time.
func (m *Model) Workers() int { return requestsEach * len(m.endpoints) }

// Ready is how many servers are in use.
func (m *Model) Ready() (n int) {
	for _, e := range m.endpoints {
		if e.ready.Load() {
			n++
		}
	}
	return n
}

// Result is how a request ended.
type Result uint8

// The results.
const (
	OK      Result = iota
	Late           // no answer in time
	Down           // it failed, or no server was in use
	Wrong          // an answer that cannot be right
	Results        // how many there are
)

// ResultNames are the names of the results, in their order.
var ResultNames = [Results]string{"ok", "late", "down", "wrong"}

// Stats are a model's counts: its requests by result, and the rows that were answered.
func (m *Model) Stats() (requests [Results]uint64, rows uint64) {
	for i := range requests {
		requests[i] = m.requests[i].Load()
	}
	return requests, m.rows.Load()
}

// count counts a request.
func (m *Model) count(err error, n int) {
	r := OK
	switch {
	case err == nil:
		m.rows.Add(uint64(n))
	case errors.Is(err, ErrLate):
		r = Late
	case errors.Is(err, ErrWrong):
		r = Wrong
	default:
		r = Down
	}
	m.requests[r].Add(1)
}

// Servers is how many servers are named.
func (m *Model) Servers() int { return len(m.endpoints) }

// Close lets go of the servers.
func (m *Model) Close() error {
	m.stop()
	m.running.Wait()
	var errs []error
	for _, e := range m.endpoints {
		errs = append(errs, e.conn.Close())
	}
	m.endpoints = nil
	return errors.Join(errs...)
}
