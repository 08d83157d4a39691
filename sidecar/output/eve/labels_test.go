package eve

import (
	"slices"
	"testing"
	"time"
)

// flows are those whose labels are there, by age, those without a record
// first; both lists are checked.
func (s *labels) flows(t *testing.T) (ids []uint64) {
	t.Helper()
	for _, q := range []labelList{s.open, s.ended} {
		last := uint32(0)
		for at := q.head; at != 0; at = s.at(at).next {
			if s.at(at).prev != last || s.index[s.at(at).flow] != at {
				t.Fatalf("the list is broken at flow %d", s.at(at).flow)
			}
			ids = append(ids, s.at(at).flow)
			last = at
		}
		if q.tail != last {
			t.Fatal("the list has another end")
		}
	}
	if len(ids) != len(s.index) {
		t.Fatalf("%d labels in lists, %d in the index", len(ids), len(s.index))
	}
	return ids
}

func TestLabels(t *testing.T) {
	s := newLabels(4)
	now := time.Now()
	put := func(ids ...uint64) {
		for _, id := range ids {
			r := decided(id)
			s.put(&r)
		}
	}
	want := func(ids ...uint64) {
		t.Helper()
		if got := s.flows(t); !slices.Equal(got, ids) {
			t.Fatalf("flows %v, want %v", got, ids)
		}
	}
	put(1, 2, 3, 4)
	want(1, 2, 3, 4)
	put(5)
	want(2, 3, 4, 5)
	put(3) // decided again
	want(2, 4, 5, 3)
	s.end(5, now)
	s.end(5, now)
	s.end(99, now)
	want(2, 4, 3, 5)
	put(6) // in place of one whose record is written
	want(2, 4, 3, 6)
	s.end(4, now)
	s.end(2, now.Add(time.Second))
	s.expire(now.Add(labelLinger-1), 10)
	want(3, 6, 4, 2)
	s.expire(now.Add(labelLinger), 10)
	want(3, 6, 2)
	s.expire(now.Add(time.Hour), 0)
	want(3, 6, 2)
	put(2) // the id is used again
	want(3, 6, 2)
	s.expire(now.Add(time.Hour), 10)
	want(3, 6, 2)
	if s.used != 5 || len(s.words) != 1 {
		t.Errorf("%d places and %d texts", s.used, len(s.words))
	}
}

// Decisions of two bundles of one name, in turn, need no more texts than there are.
func TestTextsInTurn(t *testing.T) {
	s := newLabels(4)
	for i := range uint64(100) {
		r := decided(i)
		r.Services = []string{"dns", "tls"}[i%2]
		s.put(&r)
	}
	if len(s.words) != 2 {
		t.Errorf("%d texts", len(s.words))
	}
}
