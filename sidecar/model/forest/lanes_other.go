//go:build !amd64

package forest

// vector is false: rows are scored one by one.
const vector = false

func scan8(*laneColumn, int, *laneNode, *float32, int, *[laneRows]uint32, int) uint32 {
	panic("forest: this processor has no scan8")
}

func sum8(*[laneRows]uint32, *uint32, *float64, int, int, *[laneRows]float64) {
	panic("forest: this processor has no sum8")
}
