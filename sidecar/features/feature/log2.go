package feature

import "math"

// logSpan is log2(1+µs) from one time to another; 0 if it is negative.
func logSpan(from, to int64) float32 {
	if to <= from {
		return 0
	}
	return log2(1 + float64(to) - float64(from))
}

const (
	logParts = 128   // of a binade, each with its own entry in logTable
	logError = 1e-12 // more than nearLog2 and math.Log2 are off together
)

// logTable has, for the middle c of each part of [1, 2), 1/c and -log2(1/c).
var logTable = func() (t [logParts]struct{ inverse, log float64 }) {
	for i := range t {
		inverse := 1 / (1 + (float64(i)+0.5)/logParts)
		t[i].inverse, t[i].log = inverse, -math.Log2(inverse)
	}
	return t
}()

// log2 is float32(math.Log2(x)), bit for bit, of a normal x of at least 1. It leaves to
// math.Log2 what lies so near the middle of two float32 values that an error matters.
func log2(x float64) float32 {
	y := nearLog2(x)
	if low := float32(y - logError); low == float32(y+logError) {
		return low
	}
	return float32(math.Log2(x))
}

// nearLog2 is log2(x) = exponent + log2(c) + log2(1+r), with a short series for the last,
// as r is less than 1/256.
func nearLog2(x float64) float64 {
	u := math.Float64bits(x)
	exponent := float64(int(u>>52) - 1023)
	part := &logTable[u>>45&(logParts-1)]
	r := math.Float64frombits(u&(1<<52-1)|1023<<52)*part.inverse - 1
	series := r * (1 - r*(1./2-r*(1./3-r*(1./4-r*(1./5-r/6)))))
	return exponent + (part.log + series*math.Log2E)
}
