package enrich

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"math"
	"slices"
	"strconv"
	"time"

	"serveflow/sidecar/decompress"
	"serveflow/sidecar/output/jsonl"
)

// Tolerance is the largest difference between a row's start and a decision's if
// only the Community ID joins them: clocks of two machines differ, and the same
// ports are seldom reused so soon.
const Tolerance = 2 * time.Second

// Labels is a label log in memory, with which any number of logs can be enriched.
// It may be used by many goroutines at once.
type Labels struct {
	decisions   []logged
	byID        refs
	byCommunity refs
	words       []word
	seed        maphash.Seed
	broken      int64
}

// logged is one line of a label log, without its keys.
type logged struct {
	start, latency              int64 // microseconds
	score, margin               float32
	packets                     int32
	label, stage, model, reason uint32 // words
}

// word is a text that many decisions share.
type word struct {
	raw  string // as in the log: a JSON string with its quotes
	text string
}

// ErrNoLabels reports that a label log has lines, but no decision.
var ErrNoLabels = errors.New("no line is a decision: is this a labels.jsonl?")

// Len returns the number of decisions.
func (l *Labels) Len() int { return len(l.decisions) }

// Broken returns the number of lines that were not decisions and were skipped, such
// as the torn last line of a log that is being written.
func (l *Labels) Broken() int64 { return l.broken }

// Load reads a label log, of which it uses the keys flow, label, ts,
// community_id, score, margin, stage, packets, latency_us, model and reason.
// Without the first two a line is no decision; the others may be missing.
func Load(r io.Reader) (*Labels, error) {
	plain, err := decompress.New(r)
	if err != nil {
		return nil, fmt.Errorf("read labels: %w", err)
	}
	defer plain.Close()
	l := &Labels{seed: maphash.MakeSeed()}
	shared := map[string]uint32{}
	in := jsonl.NewReader(plain)
	for {
		line, err := in.Next()
		if err == io.EOF {
			break
		}
		if err == jsonl.ErrLong {
			l.broken++
			if err = in.CopyLine(io.Discard); err == nil {
				continue
			}
		}
		if err != nil {
			return nil, fmt.Errorf("read labels: %w", err)
		}
		line, _ = jsonl.CutEnd(line)
		if len(line) > 0 && !l.add(line, shared) {
			l.broken++
		}
	}
	if len(l.decisions) == 0 && l.broken > 0 {
		return nil, fmt.Errorf("read labels: %w", ErrNoLabels)
	}
	l.byID.sort(l)
	l.byCommunity.sort(l)
	return l, nil
}

// add reads one line, and returns false if it is no decision.
func (l *Labels) add(line []byte, shared map[string]uint32) bool {
	if !jsonl.Valid(line) || jsonl.FirstByte(line) != '{' {
		return false
	}
	var flow, community, label, stage, model, reason []byte
	d := logged{score: float32(math.NaN()), margin: float32(math.NaN())}
	for key, value := range jsonl.Members(line) {
		switch string(key) {
		case "ts":
			d.start, _ = jsonl.Micros(value)
		case "flow":
			flow = value
		case "community_id":
			community = jsonl.Unquote(value)
		case "label":
			label = value
		case "score":
			d.score = number(value)
		case "margin":
			d.margin = number(value)
		case "stage":
			stage = value
		case "packets":
			n, _ := strconv.ParseUint(string(value), 10, 31)
			d.packets = int32(n)
		case "latency_us":
			d.latency, _ = strconv.ParseInt(string(value), 10, 64)
		case "model":
			model = value
		case "reason":
			reason = value
		}
	}
	if len(flow) == 0 || jsonl.IsNull(flow) || !jsonl.IsString(label) {
		return false
	}
	d.label = l.word(label, shared)
	d.stage = l.word(stage, shared)
	d.model = l.word(model, shared)
	d.reason = l.word(reason, shared)
	at := uint32(len(l.decisions))
	l.decisions = append(l.decisions, d)
	l.byID = append(l.byID, ref{l.hash(flow), at})
	if len(community) > 0 {
		l.byCommunity = append(l.byCommunity, ref{l.hash(community), at})
	}
	return true
}

// word returns the number of a JSON string; the empty text if it is none.
func (l *Labels) word(raw []byte, shared map[string]uint32) uint32 {
	if !jsonl.IsString(raw) {
		raw = []byte(`""`)
	}
	if n, ok := shared[string(raw)]; ok {
		return n
	}
	w := word{raw: string(raw)}
	if json.Unmarshal(raw, &w.text) != nil {
		w.text = w.raw // cannot be: the line was valid
	}
	n := uint32(len(l.words))
	l.words = append(l.words, w)
	shared[w.raw] = n
	return n
}

// number reads a JSON number; what is none is NaN.
func number(value []byte) float32 {
	f, err := strconv.ParseFloat(string(value), 32)
	if err != nil {
		return float32(math.NaN())
	}
	return float32(f)
}

// hash has a new seed for each Labels, so that nobody can make ids collide.
func (l *Labels) hash(b []byte) uint64 { return maphash.Bytes(l.seed, b) }

// refs finds decisions by the hash of an id: a sorted list takes a quarter of
// the memory of a map.
type refs []ref

type ref struct {
	key uint64
	at  uint32
}

func (r refs) sort(l *Labels) {
	slices.SortFunc(r, func(a, b ref) int {
		switch {
		case a.key != b.key:
			return cmp(a.key < b.key)
		case l.decisions[a.at].start != l.decisions[b.at].start:
			return cmp(l.decisions[a.at].start < l.decisions[b.at].start)
		}
		return cmp(a.at < b.at)
	})
}

func cmp(less bool) int {
	if less {
		return -1
	}
	return 1
}

// nearest returns the decision with this key that started nearest to start, in
// microseconds; without a time the last one.
func (r refs) nearest(l *Labels, key uint64, start int64, timed bool) *logged {
	if !timed {
		start = math.MaxInt64
	}
	i, _ := slices.BinarySearchFunc(r, key, func(e ref, key uint64) int {
		if e.key != key {
			return cmp(e.key < key)
		}
		return cmp(l.decisions[e.at].start < start)
	})
	var best *logged
	if i < len(r) && r[i].key == key {
		best = &l.decisions[r[i].at]
	}
	if i > 0 && r[i-1].key == key {
		before := &l.decisions[r[i-1].at]
		if best == nil || start-before.start <= best.start-start {
			best = before
		}
	}
	return best
}
