package forest

import (
	"math/bits"
	"slices"

	"serveflow/sidecar/model"
	"serveflow/sidecar/model/lightgbm"
)

// forest is a compiled ensemble.
type forest struct {
	*lightgbm.Ensemble
	columns []column
	rungs   []rung
	clears  []clearing
	nan     map[uint32][]clearing // what a NaN in a column clears
	zero    map[uint32][]split    // the nodes of a column in which some node takes zero for missing
	walked  []walked
	nodes   []node
	leaves  []float64 // of all trees
	number  []uint16  // of each leaf, in its tree's text
	firstOf []uint32  // where the leaves of each tree begin
}

// column is a column of the row that nodes look at, with its least threshold.
// Clearings from from on belong to that, up to those of its first rung.
type column struct {
	index    uint32
	low      float32
	from, to uint32 // of all its clearings
	rung     uint32 // first of its rungs
	rungs    uint32
	zero     bool // it stands in forest.zero
}

// rung is a further threshold of a column, in ascending order.
type rung struct {
	threshold float32
	from      uint32
}

// clearing is what a node does that sends a row to the right: the tree in the
// low half, the leaves that the row cannot reach in the high half.
type clearing uint64

// maxLeaves is the most leaves of a tree that is not walked.
const maxLeaves = 32

func newClearing(tree int, leaves uint32) clearing {
	return clearing(leaves)<<32 | clearing(tree)
}

// New compiles e.
func New(e *lightgbm.Ensemble) model.Model { return compile(e) }

func (f *forest) Columns() []string { return slices.Clone(f.Ensemble.Columns) }
func (f *forest) Classes() int      { return f.Ensemble.Classes }
func (f *forest) Close() error      { return nil }

func (f *forest) NewScorer() (model.Scorer, error) {
	return &scorer{
		forest: f,
		width:  len(f.Ensemble.Columns),
		raw:    make([]float64, f.Groups),
		leafAt: slices.Clone(f.firstOf),
		gone:   new([lightgbm.MaxTrees]uint32),
	}, nil
}

// scorer evaluates rows one by one.
type scorer struct {
	*forest
	width  int
	raw    []float64
	leafAt []uint32                   // where a walked tree ended, or where the leaves of another begin
	gone   *[lightgbm.MaxTrees]uint32 // of each tree, the leaves that the row cannot reach
}

func (s *scorer) Close() error { return nil }

// Leaf implements model.Trees.
func (s *scorer) Leaf(tree int) int {
	return int(s.number[s.leafAt[tree]+uint32(bits.TrailingZeros32(^s.gone[tree]))])
}

func (s *scorer) Score(probs, rows []float32, n int) error {
	classes := s.Ensemble.Classes
	if err := model.CheckLengths(probs, rows, n, s.width, classes); err != nil {
		return err
	}
	for i := range n {
		s.evaluate(rows[i*s.width : (i+1)*s.width])
		s.Probabilities(probs[i*classes:(i+1)*classes], s.raw)
	}
	return nil
}

// evaluate finds the raw scores of a row.
func (s *scorer) evaluate(row []float32) {
	clear(s.gone[:len(s.Trees)])
	s.scan(row)
	s.walk(row)
	s.sum()
}

// scan clears, column by column, the leaves that the row cannot reach.
func (s *scorer) scan(row []float32) {
	for i := range s.columns {
		c := &s.columns[i]
		x := row[c.index]
		switch {
		case x != x:
			s.clear(s.nan[c.index])
		case c.zero && lightgbm.IsZero(float64(x)):
			s.nothing(s.zero[c.index], x)
		case x > c.low:
			end := c.to
			for _, r := range s.rungs[c.rung:][:c.rungs] {
				if !(x > r.threshold) {
					end = r.from
					break
				}
			}
			s.clear(s.clears[c.from:end])
		}
	}
}

// nothing clears what a zero does, in a column where it is missing to some nodes.
func (s *scorer) nothing(splits []split, x float32) {
	for i := range splits {
		n := &splits[i]
		if n.zeroMissing && n.zeroRight || !n.zeroMissing && x > n.threshold {
			s.gone[n.clearing%lightgbm.MaxTrees] |= uint32(n.clearing >> 32)
		}
	}
}

func (s *scorer) clear(all []clearing) {
	gone := s.gone
	for _, c := range all {
		gone[c%lightgbm.MaxTrees] |= uint32(c >> 32)
	}
}

// sum adds up the leaves, in the order of the trees.
func (s *scorer) sum() {
	clear(s.raw)
	for from := 0; from < len(s.leafAt); from += len(s.raw) {
		at := s.leafAt[from:][:len(s.raw)]
		gone := s.gone[from:][:len(s.raw)]
		for k := range s.raw {
			s.raw[k] += s.leaves[at[k]+uint32(bits.TrailingZeros32(^gone[k]))]
		}
	}
}
