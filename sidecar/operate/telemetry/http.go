package telemetry

import (
	"context"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Limits of the HTTP listener: a scrape is small and quick, and a slow client must
// not keep it busy.
const (
	readTimeout  = 5 * time.Second
	writeTimeout = 30 * time.Second
	idleTimeout  = 5 * time.Second
	maxHeader    = 8 << 10
	maxConns     = 32 // at a time
	maxScrapes   = 4  // at a time
	stopTimeout  = 2 * time.Second
)

// Handler serves GET /metrics, GET /status and GET /healthz. The last answers 200
// while health returns nil, with a line for each warning, else 503 with the error's
// text. It serves nothing else, no profiles in particular.
func (m *Metrics) Handler(health func() error) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", inTurn(promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}), maxScrapes))
	mux.HandleFunc("GET /status", m.serveStatus)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if err := health(); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, err)
			return
		}
		io.WriteString(w, "ok\n")
		m.mu.Lock()
		var warnings []string
		for _, about := range slices.Sorted(maps.Keys(m.warnings)) {
			warnings = append(warnings, m.warnings[about]...)
		}
		m.mu.Unlock()
		for _, text := range warnings {
			fmt.Fprintln(w, "warning: "+text)
		}
	})
	return mux
}

// inTurn has at most so many requests handled at a time; others wait.
func inTurn(h http.Handler, most int) http.Handler {
	turns := make(chan struct{}, most)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case turns <- struct{}{}:
			defer func() { <-turns }()
			h.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	})
}

// Serve answers on ln until ctx is done, and closes it. It returns nil then, else
// the error that ended it.
func (m *Metrics) Serve(ctx context.Context, ln net.Listener, health func() error) error {
	limited := limitConns(ln, maxConns)
	server := &http.Server{
		Handler:        limited.handler(m.Handler(health)),
		ConnState:      limited.state,
		ConnContext:    limited.context,
		ReadTimeout:    readTimeout,
		WriteTimeout:   writeTimeout,
		IdleTimeout:    idleTimeout,
		MaxHeaderBytes: maxHeader,
		// Requests that are not HTTP are not logged.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(limited) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving metrics: %w", err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if server.Shutdown(stop) != nil {
		server.Close()
	}
	return nil
}
