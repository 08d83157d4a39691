package feature

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestLog2 compares with the definition: every whole number up to 2^22, the neighbours of
// every power of two, and many of every size, among them those that lie next to the
// middle of two float32 values.
func TestLog2(t *testing.T) {
	check := func(x float64) {
		if x >= 1 {
			if got, want := log2(x), float32(math.Log2(x)); math.Float32bits(got) != math.Float32bits(want) {
				t.Fatalf("log2(%v) = %v, want %v", x, got, want)
			}
		}
	}
	for n := range 1 << 22 {
		check(float64(n))
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for e := range 64 {
		power := math.Ldexp(1, e)
		for _, x := range []float64{power, math.Nextafter(power, 0), math.Nextafter(power, 2*power), power - 1, power + 1} {
			check(x)
		}
		for range 20_000 {
			check(math.Trunc(power * (1 + rng.Float64())))
		}
	}
	for range 200_000 { // x whose logarithm is the middle of two float32 values
		y := float32(rng.Float64() * 50)
		middle := (float64(y) + float64(math.Nextafter32(y, 64))) / 2
		x := math.Exp2(middle)
		for _, x := range []float64{x, math.Nextafter(x, 0), math.Nextafter(x, 2*x), math.Round(x)} {
			check(x)
		}
	}
}

// TestLogError: nearLog2 is off by far less than logError.
func TestLogError(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 1_000_000 {
		x := math.Exp2(rng.Float64() * 64)
		if off := math.Abs(nearLog2(x) - math.Log2(x)); off > logError/20 {
			t.Fatalf("%v: off by %v", x, off)
		}
	}
}

func BenchmarkLogSpan(b *testing.B) {
	rng := rand.New(rand.NewPCG(5, 6))
	var spans [256]int64
	for i := range spans {
		spans[i] = int64(math.Exp2(rng.Float64() * 24))
	}
	i := 0
	for b.Loop() {
		logSpan(0, spans[i%len(spans)])
		i++
	}
}
