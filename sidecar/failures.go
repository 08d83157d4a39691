package sidecar

import (
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// modelFailures logs errors of models at a limited rate, because every packet may
// cause one.
type modelFailures struct {
	log   zerolog.Logger
	mu    sync.Mutex
	last  time.Time
	count int
}

const failureInterval = 10 * time.Second

func (f *modelFailures) report(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
	if now := time.Now(); now.Sub(f.last) >= failureInterval {
		f.log.Error().Err(err).Int("flows", f.count).Msg("model failed; its flows are decided without it")
		f.last, f.count = now, 0
	}
}
