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
	columns    []column
	thresholds []threshold
	masks      []mask
	nanMasks   map[uint32][]mask  // masks that a NaN in a column applies
	zeroSplits map[uint32][]split // the nodes of a column in which some node takes zero for missing
	traversed  []traversed
	nodes      []node
	leaves     []float64 // of all trees
	firstLeaf  []uint32  // where the leaves of each tree begin
	lanes      *lanes    // for eight rows at a time; nil: one by one
	wide       *wide     // for sixteen; nil: eight at most
}

// column is a column of the row that nodes test. Masks from firstMask on belong to
// its lowest threshold, up to the first mask of its second.
type column struct {
	index              uint32
	lowest             float32
	firstMask, endMask uint32 // of all its masks
	firstThreshold     uint32 // index of its second
	thresholds         uint32
	zeroMissing        bool // some node takes zero for missing, see forest.zeroSplits
}

// threshold is a further threshold of a column, in ascending order.
type threshold struct {
	value     float32
	firstMask uint32
}

// mask is the effect of a node that sends a row to the right: the tree in the low
// half, the leaves that the row cannot reach in the high half.
type mask uint64

// maxLeaves is the most leaves of a tree that is evaluated by masks.
const maxLeaves = 32

func newMask(tree int, leaves uint32) mask {
	return mask(leaves)<<32 | mask(tree)
}

// New compiles e.
func New(e *lightgbm.Ensemble) model.Model { return compile(e) }

func (f *forest) Columns() []string { return slices.Clone(f.Ensemble.Columns) }
func (f *forest) Classes() int      { return f.Ensemble.Classes }
func (f *forest) Close() error      { return nil }

func (f *forest) NewScorer() (model.Scorer, error) {
	s := &scorer{
		forest:     f,
		width:      len(f.Ensemble.Columns),
		raw:        make([]float64, f.Groups),
		leafBase:   slices.Clone(f.firstLeaf),
		bitvectors: new([lightgbm.MaxTrees]uint32),
	}
	if f.lanes != nil {
		s.batch = f.newBatch()
	}
	if f.wide != nil {
		s.wideScratch = f.newWideScratch()
	}
	return s, nil
}

// scorer evaluates rows one by one, or several at a time where that is faster.
type scorer struct {
	*forest
	width       int
	raw         []float64
	leafBase    []uint32                   // exit leaf of a traversed tree, else the first leaf of the tree
	bitvectors  *[lightgbm.MaxTrees]uint32 // of each tree, the leaves that the row cannot reach
	batch       batch                      // empty without lanes
	wideScratch wideScratch                // empty unless wide
}

func (s *scorer) Close() error { return nil }

func (s *scorer) Score(probs, rows []float32, n int) error {
	classes := s.Ensemble.Classes
	if err := model.CheckLengths(probs, rows, n, s.width, classes); err != nil {
		return err
	}
	for n > 0 {
		some := min(n, s.BatchSize())
		if some < fewestLanes || !s.scoreBatch(probs, rows, some) {
			for i := range some {
				s.evaluate(rows[i*s.width : (i+1)*s.width])
				s.Probabilities(probs[i*classes:(i+1)*classes], s.raw)
			}
		}
		probs, rows, n = probs[some*classes:], rows[some*s.width:], n-some
	}
	return nil
}

// evaluate finds the raw scores of a row.
func (s *scorer) evaluate(row []float32) {
	clear(s.bitvectors[:len(s.Trees)])
	s.applyMasks(row)
	s.traverse(row)
	s.sum()
}

// applyMasks marks, column by column, the leaves that the row cannot reach.
func (s *scorer) applyMasks(row []float32) {
	for i := range s.columns {
		c := &s.columns[i]
		x := row[c.index]
		switch {
		case x != x:
			s.apply(s.nanMasks[c.index])
		case c.zeroMissing && lightgbm.IsZero(float64(x)):
			s.applyZero(s.zeroSplits[c.index], x)
		case x > c.lowest:
			end := c.endMask
			for _, r := range s.thresholds[c.firstThreshold:][:c.thresholds] {
				if !(x > r.value) {
					end = r.firstMask
					break
				}
			}
			s.apply(s.masks[c.firstMask:end])
		}
	}
}

// applyZero applies the masks of a zero, in a column where some nodes take it for
// missing.
func (s *scorer) applyZero(splits []split, x float32) {
	for i := range splits {
		n := &splits[i]
		if n.zeroMissing && n.zeroRight || !n.zeroMissing && x > n.threshold {
			s.bitvectors[n.mask%lightgbm.MaxTrees] |= uint32(n.mask >> 32)
		}
	}
}

func (s *scorer) apply(all []mask) {
	bitvectors := s.bitvectors
	for _, c := range all {
		bitvectors[c%lightgbm.MaxTrees] |= uint32(c >> 32)
	}
}

// sum adds up the leaves, in the order of the trees.
func (s *scorer) sum() {
	clear(s.raw)
	for from := 0; from < len(s.leafBase); from += len(s.raw) {
		at := s.leafBase[from:][:len(s.raw)]
		bitvectors := s.bitvectors[from:][:len(s.raw)]
		for k := range s.raw {
			s.raw[k] += s.leaves[at[k]+uint32(bits.TrailingZeros32(^bitvectors[k]))]
		}
	}
}
