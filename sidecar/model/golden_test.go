package model

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
)

// fixed is a model of two columns and two classes: the probability of class 1
// is the first column.
type fixed struct{ broken error }

func (f fixed) Columns() []string          { return []string{"a", "b"} }
func (f fixed) Classes() int               { return 2 }
func (f fixed) NewScorer() (Scorer, error) { return f, nil }
func (f fixed) Close() error               { return nil }

func (f fixed) Score(probs, rows []float32, n int) error {
	for i := range n {
		probs[2*i], probs[2*i+1] = 1-rows[2*i], rows[2*i]
	}
	if rows[1] == 99 {
		probs[1] = float32(math.NaN())
	}
	return f.broken
}

func TestCheckGolden(t *testing.T) {
	broken := errors.New("broken")
	tests := []struct {
		name, text string
		model      fixed
		want       string // part of the error; empty: none
	}{
		{"equal", `{"rows":[[0.25,1],[1,2]],"probs":[[0.75,0.25],[0,1]]}`, fixed{}, ""},
		{"within", `{"rows":[[0.25,1]],"probs":[[0.7505,0.2495]]}`, fixed{}, ""},
		{"off", `{"rows":[[0.25,1],[0.5,1]],"probs":[[0.75,0.25],[0.5,0.502]]}`, fixed{}, "row 1: class 1: probability 0.5, recorded 0.502"},
		{"not a number", `{"rows":[[0.25,99]],"probs":[[0.75,0.25]]}`, fixed{}, "class 1: probability NaN"},
		{"none", `{"rows":[],"probs":[]}`, fixed{}, "no rows"},
		{"uneven", `{"rows":[[1,1]],"probs":[]}`, fixed{}, "1 rows but 0"},
		{"narrow", `{"rows":[[1]],"probs":[[0,1]]}`, fixed{}, "row 0: 1 values, the model has 2 columns"},
		{"classes", `{"rows":[[1,1]],"probs":[[0,1,0]]}`, fixed{}, "3 probabilities, the model has 2 classes"},
		{"empty", ``, fixed{}, "EOF"},
		{"no JSON", `rows`, fixed{}, "invalid"},
		{"other field", `{"rows":[[1,1]],"probs":[[0,1]],"x":1}`, fixed{}, "unknown field"},
		{"behind", `{"rows":[[1,1]],"probs":[[0,1]]}{}`, fixed{}, "data after"},
		{"scorer fails", `{"rows":[[1,1]],"probs":[[0,1]]}`, fixed{broken}, "row 0: broken"},
		{"huge", `{"rows":[[` + strings.Repeat(" ", maxGoldenBytes), fixed{}, "more than"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := CheckGolden(test.model, strings.NewReader(test.text), 1e-3)
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

// FuzzGolden reads golden rows that may come from anywhere. A model that says
// what is in none of them passes with nothing.
func FuzzGolden(f *testing.F) {
	f.Add([]byte(`{"rows":[[0.25,1],[1,2]],"probs":[[0.75,0.25],[0,1]]}`))
	f.Add([]byte(`{"rows":[[1,99]],"probs":[[null,1e-46]]}`))
	f.Add([]byte(`{"rows":[[1,1]],"probs":[[0,1]],"rows":[]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := CheckGolden(silent{}, bytes.NewReader(text), 1e-3); err == nil {
			t.Errorf("%q was passed", text)
		}
	})
}

// silent is a model that knows no probability.
type silent struct{ fixed }

func (s silent) NewScorer() (Scorer, error) { return s, nil }

func (silent) Score(probs, _ []float32, _ int) error {
	for i := range probs {
		probs[i] = float32(math.NaN())
	}
	return nil
}
