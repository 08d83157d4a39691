package unixsocket

import (
	"testing"
	"time"
)

// TestPlaces: who gets a place when there is none left, and whose.
func TestPlaces(t *testing.T) {
	type holder struct {
		uid    uint32
		pid, n int
		silent time.Duration
	}
	for name, test := range map[string]struct {
		holders []holder
		uid     uint32
		pid     int
		from    int // pid of the process that loses one, 0: the newcomer is refused
	}{
		"there is room":                          {[]holder{{1, 10, 7, 0}}, 1, 11, -1},
		"another user":                           {[]holder{{1, 10, 8, 0}}, 2, 20, 10},
		"another process of the user":            {[]holder{{1, 10, 8, 0}}, 1, 11, 10},
		"the process that has all":               {[]holder{{1, 10, 8, 0}}, 1, 10, 0},
		"the largest process of the user":        {[]holder{{1, 10, 2, 0}, {1, 11, 6, 0}}, 2, 20, 11},
		"of the user, not of a smaller one":      {[]holder{{1, 10, 3, time.Hour}, {2, 20, 5, 0}}, 3, 30, 20},
		"who has as many as others":              {[]holder{{1, 10, 4, 0}, {2, 20, 4, 0}}, 2, 20, 0},
		"a small process of a large user":        {[]holder{{1, 10, 7, 0}, {2, 20, 1, 0}}, 1, 11, 10},
		"many processes that talk":               {[]holder{{1, 10, 1, 0}, {1, 11, 1, 0}, {1, 12, 1, 0}, {1, 13, 1, 0}, {1, 14, 1, 0}, {1, 15, 1, 0}, {1, 16, 1, 0}, {1, 17, 1, 0}}, 1, 18, 0},
		"many processes, one of which is silent": {[]holder{{1, 10, 1, 0}, {1, 11, 1, 0}, {1, 12, 1, 0}, {1, 13, 1, time.Minute}, {1, 14, 1, 0}, {1, 15, 1, 0}, {1, 16, 1, 0}, {1, 17, 1, time.Second}}, 1, 18, 13},
		"a process that is silent, for its own":  {[]holder{{1, 10, 8, time.Minute}}, 1, 10, 10},
	} {
		t.Run(name, func(t *testing.T) {
			s := NewPlaces(8)
			left := make(chan int, 8)
			for _, h := range test.holders {
				for range h.n {
					p, err := s.Take(h.pid, h.uid, func() { left <- h.pid })
					if err != nil {
						t.Fatal(err)
					}
					p.heard.Add(-int64(h.silent))
				}
			}
			_, err := s.Take(test.pid, test.uid, nil)
			if (err != nil) != (test.from == 0) {
				t.Fatalf("%v", err)
			}
			if len(s.taken) > 8 {
				t.Errorf("%d places are taken", len(s.taken))
			}
			if test.from > 0 {
				select {
				case pid := <-left:
					if pid != test.from {
						t.Errorf("process %d lost a place", pid)
					}
				case <-time.After(5 * time.Second):
					t.Error("nobody lost a place")
				}
			}
		})
	}
}

// TestLongestSilentLeaves: of a process's connections.
func TestLongestSilentLeaves(t *testing.T) {
	s := NewPlaces(3)
	left := make(chan int, 3)
	var all []*Place
	for i := range 3 {
		p, err := s.Take(10, 1, func() { left <- i })
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	all[0].Heard()
	all[2].Heard()
	if _, err := s.Take(20, 1, nil); err != nil {
		t.Fatal(err)
	}
	if i := <-left; i != 1 {
		t.Errorf("connection %d lost its place", i)
	}
	all[1].Leave() // which it had lost
	all[2].Leave()
	if len(s.taken) != 2 {
		t.Errorf("%d places are taken", len(s.taken))
	}
}
