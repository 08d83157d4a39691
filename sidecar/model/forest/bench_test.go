package forest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"serveflow/sidecar/model"
	"serveflow/sidecar/model/leaves"
)

// BenchmarkScore scores rows of small whole numbers with the models of the
// bundle that ships, compiled and by leaves,
// one at a time and eight at once.
func BenchmarkScore(b *testing.B) {
	all := texts(b)
	for _, path := range slices.Sorted(maps.Keys(all)) {
		name, ships := strings.CutPrefix(path, "../../../models/iot-device/")
		if !ships {
			continue
		}
		e := all[path]
		reference, err := leaves.New(e)
		if err != nil {
			b.Fatal(err)
		}
		const n = 256
		r := rand.New(rand.NewPCG(1, 1))
		width := len(e.Columns)
		rows := make([]float32, n*width)
		for i := range rows {
			rows[i] = float32(max(r.IntN(24)-16, -1)) // most bits are 0 or missing
		}
		for _, m := range []struct {
			name string
			model.Model
		}{{"forest", New(e)}, {"leaves", reference}} {
			for _, atOnce := range []int{1, 8} {
				b.Run(fmt.Sprintf("%s/%s/%d", name, m.name, atOnce), func(b *testing.B) {
					s, probs := scorerOf(b, m), make([]float32, e.Classes*atOnce)
					b.ReportAllocs()
					for i := 0; b.Loop(); i = (i + atOnce) % n {
						if err := s.Score(probs, rows[i*width:(i+atOnce)*width], atOnce); err != nil {
							b.Fatal(err)
						}
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*atOnce), "ns/row")
				})
			}
		}
	}
}
