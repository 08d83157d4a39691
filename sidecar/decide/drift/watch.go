package drift

import "time"

// Alert is the index above which a change is a large one.
const Alert = .25

// alertAfter is how long indexes have to be above Alert for it to be no burst, as in
// packaging/alerts.yml.
const alertAfter = time.Hour

// Watch tells drift that stays from a burst. It belongs to one goroutine.
type Watch struct {
	since    time.Time // when an index was first above Alert, of those times in a row
	reported bool
}

// Check takes what a window shows now. It returns the indexes above Alert once some
// have been there at every look for an hour, and whether that is news. The label's
// alone says nothing: a network has its own mix.
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
