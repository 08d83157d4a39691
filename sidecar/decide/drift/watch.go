package drift

import "time"

// Alert is the index above which a change is large.
const Alert = .25

// alertAfter is how long indexes must stay above Alert to count as drift and not as
// a burst, as in packaging/alerts.yml.
const alertAfter = time.Hour

// Watch distinguishes lasting drift from bursts. It belongs to one goroutine.
type Watch struct {
	since    time.Time // when an index rose above Alert, zero if none is
	reported bool
}

// Check takes the current indexes of a window. It returns those above Alert once
// some have been above it at every check for an hour, and whether this is the first
// time. The index of the label alone does not count: every network has its own mix.
func (w *Watch) Check(now time.Time, indexes []Index) (beyond []Index, news bool) {
	drifts := false
	for _, i := range indexes {
		if i.PSI > Alert {
			beyond = append(beyond, i)
			drifts = drifts || i.Of != "label"
		}
	}
	switch {
	case !drifts:
		*w = Watch{}
		return nil, false
	case w.since.IsZero():
		w.since = now
	}
	if now.Sub(w.since) < alertAfter {
		return nil, false
	}
	news, w.reported = !w.reported, true
	return beyond, news
}
