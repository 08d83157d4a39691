package sidecar

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"serveflow/sidecar/bundle"
	"serveflow/sidecar/decide/drift"
	"serveflow/sidecar/operate/pages"
	"serveflow/sidecar/operate/telemetry"
)

// driftInterval is how often a sidecar checks its drift.
const driftInterval = time.Minute

// driftMonitor warns once in the log, and on /healthz while it lasts, that the
// traffic has drifted from the bundle's calibration.
type driftMonitor struct {
	sidecar *Sidecar
	serving *bundle.Bundle
	watches map[string]*drift.Watch // by cascade
	stop    chan struct{}
	running sync.WaitGroup
}

func (s *Sidecar) startDriftMonitor() *driftMonitor {
	a := &driftMonitor{sidecar: s, stop: make(chan struct{})}
	a.running.Go(func() {
		tick := time.NewTicker(driftInterval)
		defer tick.Stop()
		for {
			select {
			case now := <-tick.C:
				a.check(now, s.pool.Bundle(), s.Metrics.Drift())
			case <-a.stop:
				return
			}
		}
	})
	return a
}

// check takes the current drift of the bundle's cascades.
func (a *driftMonitor) check(now time.Time, serving *bundle.Bundle, measured []telemetry.Drift) {
	if a.serving != serving { // another window
		a.serving, a.watches = serving, map[string]*drift.Watch{}
	}
	var warnings []string
	for _, d := range measured {
		w := a.watches[d.Cascade]
		if w == nil {
			w = new(drift.Watch)
			a.watches[d.Cascade] = w
		}
		var indexes []drift.Index
		for _, i := range d.PSI {
			indexes = append(indexes, drift.Index{Of: i.Of, PSI: i.Value})
		}
		beyond, news := w.Check(now, indexes)
		if len(beyond) == 0 {
			continue
		}
		var far []string
		for _, i := range beyond {
			far = append(far, fmt.Sprintf("%s %.2f", i.Of, i.PSI))
		}
		text := fmt.Sprintf("drift: for an hour the %s flows have been unlike those that %s was calibrated on (serveflow_drift_psi above %v: %s), and what it promises may not hold: %s says how to read it; use a bundle that was trained on such traffic, or train one",
			d.Cascade, serving.Name(), drift.Alert, strings.Join(far, ", "), pages.At("docs/drift.md"))
		warnings = append(warnings, text)
		if news {
			a.sidecar.options.Log.Warn().Msg(text)
		}
	}
	a.sidecar.Metrics.Warn("drift", warnings)
}

func (a *driftMonitor) close() {
	close(a.stop)
	a.running.Wait()
}
