package remote

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"math"
	"net"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"serveflow/sidecar/model/remote/oip"
)

const (
	file   = `{"model":"m","version":"1","input":"in","output":"out","columns":["a","b"],"classes":2}`
	golden = `{"rows":[[1,0],[0,1]],"probs":[[0.75,0.25],[0.75,0.25]]}`
)

// server answers as its function says.
type server struct {
	oip.UnimplementedGRPCInferenceServiceServer
	answer atomic.Pointer[func(*oip.ModelInferRequest) (*oip.ModelInferResponse, error)]
	asked  atomic.Int32
}

func (s *server) ModelReady(context.Context, *oip.ModelReadyRequest) (*oip.ModelReadyResponse, error) {
	return &oip.ModelReadyResponse{Ready: true}, nil
}

func (s *server) ModelInfer(_ context.Context, r *oip.ModelInferRequest) (*oip.ModelInferResponse, error) {
	s.asked.Add(1)
	return (*s.answer.Load())(r)
}

func (s *server) says(f func(*oip.ModelInferRequest) (*oip.ModelInferResponse, error)) {
	s.answer.Store(&f)
}

// right answers each row with .75 and .25.
func right(r *oip.ModelInferRequest) (*oip.ModelInferResponse, error) {
	n := r.Inputs[0].Shape[0]
	var probs []float32
	for range n {
		probs = append(probs, .75, .25)
	}
	return response(probs, n, 2), nil
}

func response(probs []float32, shape ...int64) *oip.ModelInferResponse {
	return &oip.ModelInferResponse{ModelName: "m", ModelVersion: "1", Outputs: []*oip.ModelInferResponse_InferOutputTensor{
		{Name: "out", Datatype: "FP32", Shape: shape, Contents: &oip.InferTensorContents{Fp32Contents: probs}},
	}}
}

func start(t *testing.T, o ...grpc.ServerOption) (*server, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, g := new(server), grpc.NewServer(o...)
	s.says(right)
	oip.RegisterGRPCInferenceServiceServer(g, s)
	go g.Serve(l)
	t.Cleanup(g.Stop)
	return s, l.Addr().String()
}

func load(t *testing.T, endpoints ...string) *Model {
	t.Helper()
	m, err := Load([]byte(file), Options{Endpoints: endpoints, Classes: 2, Golden: []byte(golden), Tolerance: 1e-4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func wait(t *testing.T, m *Model, ready int) {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); m.Ready() != ready; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%d servers are ready, want %d", m.Ready(), ready)
		}
	}
}

func score(m *Model, within time.Duration) ([]float32, error) {
	s, _ := m.NewScorer()
	s.(*Scorer).SetDeadline(time.Now().Add(within))
	probs := make([]float32, 6)
	return probs, s.Score(probs, make([]float32, 6), 3)
}

func TestAnswers(t *testing.T) {
	s, address := start(t)
	m := load(t, address)
	wait(t, m, 1)
	probs, err := score(m, 5*time.Second)
	if err != nil || probs[0] != .75 || probs[5] != .25 {
		t.Errorf("%v, %v", probs, err)
	}
	// Types and forms of other servers.
	raw := []byte{}
	for range 3 {
		raw = append(raw, 0, 0, 0, 0, 0, 0, 0xe8, 0x3f, 0, 0, 0, 0, 0, 0, 0xd0, 0x3f)
	}
	s.says(func(*oip.ModelInferRequest) (*oip.ModelInferResponse, error) {
		r := response(nil, 3, 2)
		r.Outputs[0].Datatype, r.RawOutputContents = "FP64", [][]byte{raw}
		return r, nil
	})
	if probs, err := score(m, 5*time.Second); err != nil || probs[4] != .75 {
		t.Errorf("raw doubles: %v, %v", probs, err)
	}
}

// A wrong answer is not believed, and the server that gave it is out of use until it gives
// the golden rows again.
func TestWrongAnswers(t *testing.T) {
	nan := float32(math.NaN())
	for name, answer := range map[string]*oip.ModelInferResponse{
		"nothing":       {},
		"another model": {ModelName: "x", ModelVersion: "1"},
		"another version": func() *oip.ModelInferResponse {
			r := response([]float32{1, 0, 1, 0, 1, 0}, 3, 2)
			r.ModelVersion = "2"
			return r
		}(),
		"rows":           response([]float32{1, 0, 1, 0}, 2, 2),
		"shape":          response([]float32{1, 0, 1, 0, 1, 0}, 6),
		"huge":           response([]float32{1, 0, 1, 0, 1, 0}, math.MaxInt64, math.MaxInt64),
		"values":         response([]float32{1, 0, 1, 0, 1}, 3, 2),
		"no values":      response(nil, 3, 2),
		"no number":      response([]float32{1, 0, nan, nan, 1, 0}, 3, 2),
		"negative":       response([]float32{1, 0, 2, -1, 1, 0}, 3, 2),
		"no probability": response([]float32{1, 0, .5, .4, 1, 0}, 3, 2),
		"type": func() *oip.ModelInferResponse {
			r := response([]float32{1, 0, 1, 0, 1, 0}, 3, 2)
			r.Outputs[0].Datatype = "INT8"
			return r
		}(),
		"name": func() *oip.ModelInferResponse {
			r := response([]float32{1, 0, 1, 0, 1, 0}, 3, 2)
			r.Outputs[0].Name = "x"
			return r
		}(),
		"cut raw": func() *oip.ModelInferResponse {
			r := response(nil, 3, 2)
			r.RawOutputContents = [][]byte{make([]byte, 23)}
			return r
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, address := start(t)
			m := load(t, address)
			wait(t, m, 1)
			s.says(func(*oip.ModelInferRequest) (*oip.ModelInferResponse, error) { return answer, nil })
			if _, err := score(m, 5*time.Second); !errors.Is(err, ErrWrong) {
				t.Errorf("%v", err)
			}
			if m.Ready() != 0 {
				t.Error("the server is still in use")
			}
			if _, err := score(m, 5*time.Second); !errors.Is(err, ErrDown) {
				t.Errorf("the second time: %v", err)
			}
			if requests, rows := m.Stats(); requests[Wrong] != 1 || requests[Down] != 1 || rows != 0 {
				t.Errorf("%v requests, %d rows", requests, rows)
			}
			s.says(right)
			wait(t, m, 1)
		})
	}
}

// A server that gives other golden rows never comes into use.
func TestGoldenRows(t *testing.T) {
	s, address := start(t)
	s.says(func(*oip.ModelInferRequest) (*oip.ModelInferResponse, error) {
		return response([]float32{.75, .25, .25, .75}, 2, 2), nil
	})
	var mu sync.Mutex
	var said []string
	m, err := Load([]byte(file), Options{Endpoints: []string{address}, Classes: 2, Golden: []byte(golden), Tolerance: 1e-4,
		OnChange: func(_ string, err error) { mu.Lock(); defer mu.Unlock(); said = append(said, err.Error()) }})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for until := time.Now().Add(20 * time.Second); s.asked.Load() < 2; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("it was not asked twice")
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if m.Ready() != 0 || len(said) != 1 || !strings.Contains(said[0], "golden rows: row 1") {
		t.Errorf("%d ready; %q", m.Ready(), said)
	}
}

// Late is late: the caller waits no longer, and the third in a row is the last.
func TestLate(t *testing.T) {
	s, address := start(t)
	m := load(t, address)
	wait(t, m, 1)
	s.says(func(r *oip.ModelInferRequest) (*oip.ModelInferResponse, error) {
		time.Sleep(2 * time.Second)
		return right(r)
	})
	for i := range lateInRow {
		if m.Ready() != 1 {
			t.Fatalf("out of use after %d", i)
		}
		began := time.Now()
		if _, err := score(m, 30*time.Millisecond); !errors.Is(err, ErrLate) {
			t.Errorf("%v", err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("%v", took)
		}
	}
	if m.Ready() != 0 {
		t.Error("still in use")
	}
}

// The server with the fewest requests under way is asked.
func TestLeastOutstanding(t *testing.T) {
	slow, one := start(t)
	quick, two := start(t)
	m := load(t, one, two)
	wait(t, m, 2)
	release := make(chan struct{})
	slow.says(func(r *oip.ModelInferRequest) (*oip.ModelInferResponse, error) { <-release; return right(r) })
	var wg sync.WaitGroup
	wg.Go(func() { score(m, 20*time.Second) })
	for m.endpoints[0].under.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	before := quick.asked.Load()
	for range 10 {
		if _, err := score(m, 5*time.Second); err != nil {
			t.Error(err)
		}
	}
	if n := quick.asked.Load() - before; n != 10 {
		t.Errorf("the idle server got %d of 10", n)
	}
	close(release)
	wg.Wait()
}

func TestLoad(t *testing.T) {
	for name, c := range map[string]struct {
		file, golden string
		endpoints    []string
	}{
		"set inference.endpoints": {file, golden, nil},
		"are all needed":          {`{"columns":["a"],"classes":2}`, golden, []string{"127.0.0.1:1"}},
		"classes, 2 are expected": {strings.Replace(file, `"classes":2`, `"classes":3`, 1), golden, []string{"127.0.0.1:1"}},
		"columns: give":           {strings.Replace(file, `"a","b"`, ``, 1), golden, []string{"127.0.0.1:1"}},
		"golden rows":             {file, `{"rows":[[1]],"probs":[[1,0]]}`, []string{"127.0.0.1:1"}},
		"no rows":                 {file, `{}`, []string{"127.0.0.1:1"}},
		"remote":                  {`{"more":1}`, golden, []string{"127.0.0.1:1"}},
	} {
		if _, err := Load([]byte(c.file), Options{Endpoints: c.endpoints, Classes: 2, Golden: []byte(c.golden)}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a server says is no longer in an error, and takes no more memory, than it needs to.
func TestLongAnswers(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for name, answer := range map[string]func(*oip.ModelInferRequest) (*oip.ModelInferResponse, error){
		"shape": func(*oip.ModelInferRequest) (*oip.ModelInferResponse, error) {
			return response(nil, make([]int64, 100_000)...), nil
		},
		"name": func(*oip.ModelInferRequest) (*oip.ModelInferResponse, error) {
			return &oip.ModelInferResponse{ModelName: long[:100_000]}, nil
		},
		"type": func(*oip.ModelInferRequest) (*oip.ModelInferResponse, error) {
			r := response(nil, 3, 2)
			r.Outputs[0].Datatype = long[:100_000]
			return r, nil
		},
		"values": func(*oip.ModelInferRequest) (*oip.ModelInferResponse, error) {
			return response(make([]float32, 1<<20), 3, 2), nil
		},
		"error": func(*oip.ModelInferRequest) (*oip.ModelInferResponse, error) { return nil, errors.New(long) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, address := start(t)
			m := load(t, address)
			wait(t, m, 1)
			s.says(answer)
			_, err := score(m, 5*time.Second)
			if err == nil || len(err.Error()) > 1000 {
				t.Errorf("%.2000v", err)
			}
			if want := map[string]error{"values": ErrDown, "error": ErrDown}[name]; want != nil && !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
			s.says(right)
			wait(t, m, 1)
		})
	}
}

// A server's certificate is held against inference.ca; without TLS, or with another
// authority, a server that wants TLS is never asked.
func TestTLS(t *testing.T) {
	web := httptest.NewTLSServer(nil) // for its certificate
	defer web.Close()
	s, address := start(t, grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: web.TLS.Certificates})))
	write := func(text []byte) string {
		path := t.TempDir() + "/ca.pem"
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ca := write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw}))
	for name, c := range map[string]struct {
		o    Options
		want string // "" if the server is used
	}{
		"authority":    {Options{TLS: true, CA: ca}, ""},
		"system's":     {Options{TLS: true}, "certificate signed by unknown authority"},
		"without":      {Options{}, "error reading server preface"},
		"another name": {Options{TLS: true, CA: ca, Endpoints: []string{strings.Replace(address, "127.0.0.1", "localhost", 1)}}, "localhost"},
		"no file":      {Options{TLS: true, CA: "none"}, "inference.ca: open none"},
		"no authority": {Options{TLS: true, CA: write([]byte("x"))}, "holds no certificate in PEM"},
	} {
		t.Run(name, func(t *testing.T) {
			said := make(chan error, 10)
			c.o.Classes, c.o.Golden, c.o.Tolerance = 2, []byte(golden), 1e-4
			c.o.OnChange = func(_ string, err error) { said <- err }
			if c.o.Endpoints == nil {
				c.o.Endpoints = []string{address}
			}
			asked := s.asked.Load()
			m, err := Load([]byte(file), c.o)
			if err == nil {
				defer m.Close()
				err = <-said
			}
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v", err)
			}
			if c.want != "" && s.asked.Load() != asked {
				t.Error("it was asked")
			}
		})
	}
}
