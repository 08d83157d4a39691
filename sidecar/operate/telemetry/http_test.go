package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestHealth(t *testing.T) {
	var sick error
	h := New(options).Handler(func() error { return sick })
	get := func() (int, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/healthz", nil))
		return w.Code, w.Body.String()
	}
	if code, body := get(); code != 200 || body != "ok\n" {
		t.Errorf("healthy: %d %q", code, body)
	}
	sick = errors.New("the label log cannot be written")
	if code, body := get(); code != 503 || body != "the label log cannot be written\n" {
		t.Errorf("sick: %d %q", code, body)
	}
}

func TestNothingElse(t *testing.T) {
	h := New(options).Handler(healthy)
	for request, want := range map[string]int{
		"GET /":                 404,
		"GET /debug/pprof/":     404,
		"GET /debug/pprof/heap": 404,
		"POST /metrics":         405,
		"DELETE /healthz":       405,
		"HEAD /healthz":         200,
	} {
		method, path, _ := strings.Cut(request, " ")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		if w.Code != want {
			t.Errorf("%s: %d, want %d", request, w.Code, want)
		}
	}
}

func TestServe(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	m := busy()
	go func() { served <- m.Serve(ctx, ln, healthy) }()

	resp, err := http.Get("http://" + ln.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || !strings.Contains(string(body), "serveflow_flows_total 6\n") {
		t.Errorf("the page is %q (%v)", body, err)
	}

	cancel()
	select {
	case err := <-served:
		if err != nil {
			t.Errorf("Serve returned %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Serve did not return")
	}
	if _, err := net.Dial("tcp", ln.Addr().String()); err == nil {
		t.Error("the listener is still open")
	}
}

func TestServeFails(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if err := New(options).Serve(t.Context(), ln, healthy); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve on a closed listener returned %v", err)
	}
}

// Connections that do nothing, or never end what they ask, hold few descriptors and
// keep nobody from reading metrics, however many there are.
func TestIdleConnections(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go New(options).Serve(t.Context(), ln, healthy)
	before := descriptors(t)
	const n = 400
	for i := range n {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		// Answered, and kept alive; or not asked to the end.
		io.WriteString(conn, []string{"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "GET /healthz HT"}[i%2])
	}
	time.Sleep(200 * time.Millisecond)
	if held := descriptors(t) - before - n; held > maxConns+5 {
		t.Errorf("the server holds %d descriptors", held)
	}
	client := http.Client{Timeout: idleTimeout}
	resp, err := client.Get("http://" + ln.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(body), "serveflow_flows_total") {
		t.Errorf("the page is %d bytes long: %v", len(body), err)
	}
	resp.Body.Close()
}

// While all connections have a request, one that comes waits and is served then.
func TestBusyConnections(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	answer := make(chan struct{})
	go New(options).Serve(t.Context(), ln, func() error { <-answer; return nil })
	codes := make(chan int, maxConns+1)
	get := func() {
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + ln.Addr().String() + "/healthz")
		if err != nil {
			t.Error(err)
			codes <- 0
			return
		}
		resp.Body.Close()
		codes <- resp.StatusCode
	}
	for range maxConns + 1 {
		go get()
	}
	time.Sleep(200 * time.Millisecond)
	close(answer)
	for range maxConns + 1 {
		if code := <-codes; code != 200 {
			t.Errorf("answered %d", code)
		}
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// smallBuffers is a listener whose connections take few bytes that nobody reads.
type smallBuffers struct{ net.Listener }

func (s smallBuffers) Accept() (net.Conn, error) {
	conn, err := s.Listener.Accept()
	if err == nil {
		err = conn.(*net.TCPConn).SetWriteBuffer(1)
	}
	return conn, err
}

// Clients that ask for the metrics and do not read the answer keep nobody else from them.
func TestClientsThatDoNotRead(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := New(options)
	for i := range 200 { // an answer that no buffer of these connections takes
		m.NewServedBundle(Bundle{Name: fmt.Sprintf("bundle%d@1.0.0", i), Digest: strings.Repeat("d", 64), Labels: slices.Repeat([]string{strings.Repeat("l", 64)}, 20)})
	}
	go m.Serve(t.Context(), smallBuffers{ln}, healthy)
	for range maxConns {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.(*net.TCPConn).SetReadBuffer(1)
		io.WriteString(conn, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		begin := make([]byte, len("HTTP/1.1 200"))
		if _, err := io.ReadFull(conn, begin); err != nil || string(begin) != "HTTP/1.1 200" {
			t.Fatalf("%s, %v", begin, err)
		}
	}
	began := time.Now()
	client := http.Client{Timeout: writeTimeout}
	resp, err := client.Get("http://" + ln.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(body), "serveflow_flows_total") {
		t.Errorf("%s: the page is %d bytes long: %v", resp.Status, len(body), err)
	}
	resp.Body.Close()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}
