package drift

import (
	"slices"

	"serveflow/sidecar/features/feature"
	"serveflow/sidecar/features/packet"
)

// oneIn is the sampling rate of features: their bins are counted for one flow in so
// many, because they cost more than everything else. It is a power of two.
const oneIn = 4

// Counter counts decided flows in the bins of a profile. It belongs to one
// goroutine and does not allocate.
type Counter struct {
	profile *Profile
	reader  *feature.Values
	row     []float32
	counts  []int
	flows   int
	random  uint32 // 0: features are counted for all flows
}

// NewCounter returns a counter of all flows.
func (p *Profile) NewCounter() (*Counter, error) {
	reader, err := p.values()
	if err != nil {
		return nil, err
	}
	return &Counter{
		profile: p, reader: reader, row: make([]float32, len(p.features)),
		counts: make([]int, len(p.expected)),
	}, nil
}

// Count counts a flow: its class (-1: unknown), the stage that decided it, that
// stage's score, and the packets that the decision is based on.
func (c *Counter) Count(class, stage int, score float32, packets []packet.Packet) {
	p := c.profile
	c.flows++
	c.counts[p.groups[scores].from+min(max(int(score*scoreBins), 0), scoreBins-1)]++
	c.counts[p.groups[labels].from+class+1]++
	c.counts[p.groups[stages].from+stage]++
	if len(c.row) == 0 || c.skips() {
		return
	}
	c.reader.Read(c.row, packets)
	for i, v := range c.row {
		c.counts[p.groups[fixedGroups+i].from+bin(p.features[i].Edges, v)]++
	}
}

// skips draws at random whether a flow's features are skipped. Every nth flow would
// not do, because traffic has rhythms: a pair of lookups, then a connection.
// (xorshift32; Marsaglia, "Xorshift RNGs", Journal of Statistical Software 8(14),
// 2003)
func (c *Counter) skips() bool {
	c.random ^= c.random << 13
	c.random ^= c.random >> 17
	c.random ^= c.random << 5
	return c.random%oneIn != 0
}

// bin is the bin of a value: 0 for NaN, else 1 plus the number of edges below it.
func bin(edges []float32, v float32) int {
	if v != v {
		return 0
	}
	n := 1
	for _, e := range edges {
		if v <= e {
			break
		}
		n++
	}
	return n
}

// Reference returns the counts.
func (c *Counter) Reference() *Reference {
	bins := func(group int) []int { return slices.Clone(c.profile.bins(c.counts, group)) }
	r := &Reference{Scores: bins(scores), Labels: bins(labels), Stages: bins(stages)}
	for i, f := range c.profile.features {
		f.Flows = bins(fixedGroups + i)
		r.Features = append(r.Features, f)
	}
	return r
}
