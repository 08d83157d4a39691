package shard

import (
	"testing"
	"time"

	"serveflow/sidecar/decide/cascade"
)

const tight = 40 * time.Millisecond

// drive observes one wait every millisecond for a while, and returns the levels
// that were seen, each once for a row of the same.
func drive(a *admission, now *time.Time, wait, during time.Duration) (levels []int) {
	for end := now.Add(during); now.Before(end); *now = now.Add(time.Millisecond) {
		if l := a.Observe(*now, wait); len(levels) == 0 || l != levels[len(levels)-1] {
			levels = append(levels, l)
		}
	}
	return levels
}

func equal(t *testing.T, what string, got []int, want ...int) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: levels %v, want %v", what, got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("%s: levels %v, want %v", what, got, want)
		}
	}
}

func TestAdmission(t *testing.T) {
	a, now := newAdmission(tight), time.Unix(1000, 0)
	equal(t, "idle", drive(&a, &now, 0, time.Second), 0)
	equal(t, "busy", drive(&a, &now, tight/4, time.Second), 0)
	began := now
	equal(t, "overloaded", drive(&a, &now, tight/2, 45*time.Millisecond), 1, 2, 3, 4)
	if steps := now.Sub(began); steps > tight+10*time.Millisecond {
		t.Errorf("thresholds were as loose as they get after %v only", steps)
	}
	equal(t, "still", drive(&a, &now, tight/2, 5*time.Second), 4)
	equal(t, "neither nor", drive(&a, &now, tight/6, 5*time.Second), 4)
	equal(t, "a moment of calm", drive(&a, &now, 0, 200*time.Millisecond), 4)
	equal(t, "and a stir", drive(&a, &now, tight/6, time.Millisecond), 4)
	equal(t, "which restarted it", drive(&a, &now, 0, 240*time.Millisecond), 4)

	a.Shed(now)
	began = now
	equal(t, "shedding", drive(&a, &now, tight, 100*time.Millisecond), 5)
	equal(t, "over", drive(&a, &now, 0, 2*time.Second), 5, 4, 3, 2, 1, 0)
	now = began.Add(100 * time.Millisecond)
	a.Shed(now)
	for a.Level() > 0 {
		now = now.Add(time.Millisecond)
		a.Observe(now, 0)
	}
	if took := now.Sub(began); took > 2*time.Second {
		t.Errorf("recovery took %v", took)
	}
}

func TestSuffices(t *testing.T) {
	s := cascade.Stage{Thresholds: []float32{.8, 2}}
	for _, c := range []struct {
		class      int
		confidence float32
		level      int
		want       bool
	}{
		{0, .79, 0, false}, {0, .79, 1, true}, {0, .7, 1, false}, {0, .61, 2, true},
		{0, .5, 3, true}, {0, .33, maxRelaxLevel, true}, {0, .33, shedLevel, true}, {0, .3, shedLevel, false},
		{1, 1, shedLevel, false},
	} {
		a := admission{level: c.level}
		if got := a.acceptsRelaxed(&s, cascade.Verdict{Class: c.class, Confidence: c.confidence}); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	for i := 1; i < len(relaxFactors); i++ {
		if relaxFactors[i] > relaxFactors[i-1] {
			t.Errorf("level %d is stricter than %d", i, i-1)
		}
	}
}
