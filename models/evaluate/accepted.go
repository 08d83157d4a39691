package evaluate

import (
	"fmt"

	"serveflow/sidecar/decide/cascade"
)

// Accepted is the flows that a stage before the last settled, which is what a
// bundle's promise is about.
type Accepted struct {
	Share float64 `json:"share"` // of all flows
	Wrong float64 `json:"wrong"` // share of the accepted
	// SessionsWrong is the same as the promise counts it: a capture is drawn
	// first, and then a flow of it.
	SessionsWrong float64 `json:"wrong_by_capture"`
	// Promised is what SessionsWrong is at most by the bundle's manifest, in
	// captures like those it was calibrated on; 0 where nothing is promised.
	Promised float64 `json:"promised"`
}

func accepted(flows []flowResult, promised float64) Accepted {
	type counts struct{ flows, accepted, wrong int }
	var all counts
	sessions := map[int]*counts{}
	for i := range flows {
		f := &flows[i]
		s := sessions[f.session]
		if s == nil {
			s = new(counts)
			sessions[f.session] = s
		}
		for _, c := range []*counts{&all, s} {
			c.flows++
			if f.Reason == cascade.Accepted.String() {
				c.accepted++
				if !f.right {
					c.wrong++
				}
			}
		}
	}
	taken, wrong := 0., 0.
	for _, s := range sessions {
		taken += share(s.accepted, s.flows)
		wrong += share(s.wrong, s.flows)
	}
	return Accepted{share(all.accepted, all.flows), share(all.wrong, all.accepted), ratio(wrong, taken), promised}
}

// promised is the error that the bundle promises of accepted flows.
func (o Options) promised() float64 {
	if o.Meta {
		return o.Bundle.Manifest.Calibration.MetaTargetError
	}
	return o.Bundle.Manifest.Calibration.TargetError
}

// promise tells of the promise, where there is one.
func (a Accepted) promise() string {
	if a.Promised == 0 {
		return ""
	}
	return fmt.Sprintf(" (promised: %.3g %% at most)", 100*a.Promised)
}
