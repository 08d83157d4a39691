package wire

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

func TestFlowID(t *testing.T) {
	number, text := UintID(5), id(t, "5")
	if number == text {
		t.Error("the number 5 and the text 5 are one id")
	}
	if number.String() != "5" || text.String() != "5" || number.IsString() || !text.IsString() {
		t.Error(number, text)
	}
	if number.Uint() != 5 || text.Uint() != 0 || UintID(math.MaxUint64).String() != "18446744073709551615" {
		t.Error("number lost")
	}
	if (FlowID{}) != UintID(0) {
		t.Error("the zero value is not the number 0")
	}
	if got := string(text.Append([]byte("flow "))); got != "flow 5" {
		t.Error(got)
	}
	for _, bad := range []string{"", strings.Repeat("x", 33), "a b", "a\tb", "ü", "a\x7f", "\x00"} {
		if f, err := StringID(bad); err != ErrFlowID || f != (FlowID{}) {
			t.Errorf("%q: %v, %v", bad, f, err)
		}
	}
}

// Ids as IDSs make them, and as an enemy might, spread over shards evenly.
func TestHashSpread(t *testing.T) {
	const n, shards = 1 << 16, 16
	makers := map[string]func(i int) FlowID{
		"counted":          func(i int) FlowID { return UintID(uint64(i)) },
		"high bits":        func(i int) FlowID { return UintID(uint64(i) << 40) },
		"suricata-like":    func(i int) FlowID { return UintID(uint64(i) * 1234577 & (1<<51 - 1)) },
		"short text":       func(i int) FlowID { return id(t, fmt.Sprint(i)) },
		"zeek-like":        func(i int) FlowID { return id(t, fmt.Sprintf("CHhAvVGS1%08d", i)) },
		"last bytes of 32": func(i int) FlowID { return id(t, fmt.Sprintf("%032d", i)) },
	}
	for name, make := range makers {
		var low, high [shards]int
		seen := map[uint64]bool{}
		for i := range n {
			h := make(i).Hash()
			seen[h] = true
			low[h%shards]++
			high[h>>60]++
		}
		if len(seen) != n {
			t.Errorf("%s: %d hashes of %d ids", name, len(seen), n)
		}
		for i := range shards {
			for _, got := range []int{low[i], high[i]} {
				if got < n/shards*9/10 || got > n/shards*11/10 {
					t.Errorf("%s: shard %d has %d of %d", name, i, got, n)
				}
			}
		}
	}
}
