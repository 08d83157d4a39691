package memory

import "sync/atomic"

// Budget is an amount of memory that several parts take from, in bytes. A nil
// Budget is unlimited. It may be used by many goroutines at once.
type Budget struct{ left atomic.Int64 }

// NewBudget returns a budget of n bytes.
func NewBudget(n int64) *Budget {
	b := new(Budget)
	b.left.Store(n)
	return b
}

// Take takes n bytes if that many are left.
func (b *Budget) Take(n int) bool {
	if b == nil {
		return true
	}
	if b.left.Add(-int64(n)) < 0 {
		b.left.Add(int64(n))
		return false
	}
	return true
}

// Give gives back n bytes that were taken.
func (b *Budget) Give(n int) {
	if b != nil {
		b.left.Add(int64(n))
	}
}
