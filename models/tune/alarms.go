package tune

import (
	"fmt"
	"strings"

	"serveflow/models/tune/bound"
	"serveflow/models/tune/search"
)

// Alarm is what calibration captures show of an alarm's false ones.
type Alarm struct {
	Class int
	// Proven is the share of ordinary flows that it is given falsely, at most, with
	// confidence 1-delta, a capture being drawn at random and then an ordinary flow
	// of it; ProvenSources the same where a source is drawn first and then a capture.
	Proven, ProvenSources float64
	// More is how many further captures of ordinary flows without a false one it
	// would take to prove the budget.
	More int
}

// alarms fills in what is shown of the cascade's alarms. tested are the cascades up
// to the one that was taken, in the order of the tests and with the last stages that
// the training flows gave them: what all of them show is shown of that one, although
// the calibration was looked at to choose it; and of one with a stricter last stage,
// which gives no alarm that it does not.
func (t *tuner) alarms(c *Choice, tested []search.Cascade) {
	delta, budget := t.options.Delta, t.options.Limits.Budget
	for k, cascade := range tested {
		for i, n := range c.Calibration.Alarms(c.Calibration.Run(c.Models, cascade)) {
			if k == 0 {
				c.Alarms = append(c.Alarms, Alarm{Class: n.Class})
			}
			a := &c.Alarms[i]
			if a.Proven == 0 || !bound.Holds(n.Sessions, a.Proven, delta) {
				a.Proven = bound.LeastRate(n.Sessions, delta)
			}
			if a.ProvenSources == 0 || !bound.Holds(n.Sources, a.ProvenSources, delta) {
				a.ProvenSources = bound.LeastRate(n.Sources, delta)
			}
			a.More = max(a.More, bound.More(n.Sessions, budget, delta))
		}
	}
}

// alarmTable has, for each alarm and split, what was given falsely and what was found.
func (r *Result) alarmTable(c *Choice, all []*Measured) [][]string {
	rows := [][]string{{"alarm", "split", "ordinary flows", "false", "per 10,000", "a vote a capture", "proven", "captures more", "flows", "found", "a vote a capture"}}
	for i, a := range c.Alarms {
		for _, m := range all {
			n := m.Alarms[i]
			proven, more := "", ""
			if m.Split == calibrationSplit {
				proven, more = fmt.Sprint(rate(a.Proven)), fmt.Sprint(a.More)
			}
			found, recall := "", ""
			if n.Flows > 0 {
				found, recall = percent(share(n.Right, n.Flows)), percent(n.Recall)
			}
			rows = append(rows, []string{r.Candidates.Labels[a.Class], m.Split, fmt.Sprint(n.Ordinary), fmt.Sprint(n.False),
				fmt.Sprint(rate(share(n.False, n.Ordinary))), fmt.Sprint(rate(n.Rate)), proven, more, fmt.Sprint(n.Flows), found, recall})
		}
	}
	return rows
}

// alarmWords say what the table's figures are.
func (r *Result) alarmWords(c *Choice) string {
	var worst Alarm
	for _, a := range c.Alarms {
		if a.ProvenSources >= worst.ProvenSources {
			worst = a
		}
	}
	o := &r.Options
	return fmt.Sprintf("The budget is %g of 10,000 ordinary flows for each alarm, kept by the thresholds of all stages together on the\ntraining flows, judged by models that have not seen them, and by what was observed on the calibration.\nProven is how many it is at most with confidence %g %%, a capture being drawn at random and then an ordinary flow\nof it; so many captures more, without a false alarm, would prove the budget. With sources as the draws,\nno more than %g of 10,000 is proven of every alarm.",
		rate(o.Limits.Budget), round(100*(1-o.Delta), 1e3), rate(worst.ProvenSources))
}

// givenWords say what the labels of a choice are worth.
func (r *Result) givenWords(c *Choice, all []*Measured) string {
	var b strings.Builder
	for _, m := range all {
		fmt.Fprintf(&b, "- %s: %s of the flows of known kinds are right, every kind counting the same; %s of the labels given are right; %s of the background gets one.\n",
			upper(m.Split), percent(m.Figures.Known), percent(m.Figures.Precision), percent(m.Figures.Foreign))
	}
	return b.String()
}
