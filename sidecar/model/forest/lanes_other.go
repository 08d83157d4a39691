//go:build !amd64

package forest

// vector and wider are false: rows are scored one by one.
const vector, wider = false, false

const missing = "forest: this processor has no such instructions"

func scan8(*laneColumn, int, *laneNode, *float32, int, *[laneRows]uint32, int) uint32 { panic(missing) }
func sum8(*[laneRows]uint32, *uint32, *float64, int, int, *float64)                   { panic(missing) }
func transpose8(*[8]*float32, int, *float32) uint32                                   { panic(missing) }

func score16(*wideTest, int, *float32, *uint16, *wideNode, *uint32, *float64, int, int, *float64) {
	panic(missing)
}

func score32(*wideTest, int, *float32, *uint16, *wideNode, *uint32, *float64, int, int, *float64) {
	panic(missing)
}

func softmax4(*float64, int, int, *float32, int) uint32 { panic(missing) }
