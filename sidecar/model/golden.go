package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
)

// maxGoldenBytes bounds what CheckGolden reads: golden rows take some hundred
// kilobytes.
const maxGoldenBytes = 16 << 20

// golden is the file of golden rows, JSON next to the model's own file:
//
//	{"rows": [[0.5, -1], [2, 64]], "probs": [[0.9, 0.1], [0.2, 0.8]]}
//
// rows has feature rows in the order of the model's columns, probs the class
// probabilities that the training library gave for each.
type golden struct {
	Rows  [][]float32 `json:"rows"`
	Probs [][]float32 `json:"probs"`
}

// CheckGolden scores the golden rows in r and compares each probability with the
// recorded one. A difference above tolerance, a row of another width, a file
// without rows or one of another format is an error that names the row. A model
// that passes computes here what it computed where it was trained.
func CheckGolden(m Model, r io.Reader, tolerance float64) error {
	g, err := readGolden(r)
	if err != nil {
		return fmt.Errorf("golden rows: %w", err)
	}
	s, err := m.NewScorer()
	if err != nil {
		return fmt.Errorf("golden rows: new scorer: %w", err)
	}
	err = g.check(s, len(m.Columns()), m.Classes(), tolerance)
	if closeErr := s.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("golden rows: %w", err)
	}
	return nil
}

func readGolden(r io.Reader) (*golden, error) {
	var g golden
	if err := ReadJSON(r, &g, maxGoldenBytes); err != nil {
		return nil, err
	}
	if len(g.Rows) == 0 {
		return nil, errors.New("no rows")
	}
	if len(g.Rows) != len(g.Probs) {
		return nil, fmt.Errorf("%d rows but %d rows of probabilities", len(g.Rows), len(g.Probs))
	}
	return &g, nil
}

// ReadJSON reads into v the one JSON object in r, of at most so many bytes. A field
// that v does not have is an error.
func ReadJSON(r io.Reader, v any, limit int64) error {
	limited := &io.LimitedReader{R: r, N: limit + 1}
	dec := json.NewDecoder(limited)
	dec.DisallowUnknownFields()
	err := dec.Decode(v)
	if limited.N <= 0 {
		return fmt.Errorf("more than %d bytes", limit)
	}
	if err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("data after the JSON object")
	}
	return nil
}

// Golden are golden rows for a model that is asked about all of them at once.
type Golden struct {
	rows, probs []float32
	n           int
}

// ReadGolden reads golden rows of so many columns and classes.
func ReadGolden(r io.Reader, columns, classes int) (*Golden, error) {
	g, err := readGolden(r)
	if err != nil {
		return nil, fmt.Errorf("golden rows: %w", err)
	}
	all := &Golden{n: len(g.Rows)}
	for i, row := range g.Rows {
		if len(row) != columns || len(g.Probs[i]) != classes {
			return nil, fmt.Errorf("golden rows: row %d: %d values and %d probabilities, the model has %d and %d", i, len(row), len(g.Probs[i]), columns, classes)
		}
		all.rows, all.probs = append(all.rows, row...), append(all.probs, g.Probs[i]...)
	}
	return all, nil
}

// All are the rows, one after the other, and how many they are.
func (g *Golden) All() (rows []float32, n int) { return g.rows, g.n }

// Compare compares the probabilities of all rows with those recorded.
func (g *Golden) Compare(probs []float32, tolerance float64) error {
	if len(probs) != len(g.probs) {
		return fmt.Errorf("golden rows: %d probabilities, recorded %d", len(probs), len(g.probs))
	}
	for i, want := range g.probs {
		if d := math.Abs(float64(probs[i]) - float64(want)); !(d <= tolerance) {
			classes := len(g.probs) / g.n
			return fmt.Errorf("golden rows: row %d: class %d: probability %g, recorded %g, tolerance %g", i/classes, i%classes, probs[i], want, tolerance)
		}
	}
	return nil
}

func (g *golden) check(s Scorer, width, classes int, tolerance float64) error {
	probs := make([]float32, classes)
	for i, row := range g.Rows {
		if len(row) != width {
			return fmt.Errorf("row %d: %d values, the model has %d columns", i, len(row), width)
		}
		if len(g.Probs[i]) != classes {
			return fmt.Errorf("row %d: %d probabilities, the model has %d classes", i, len(g.Probs[i]), classes)
		}
		if err := s.Score(probs, row, 1); err != nil {
			return fmt.Errorf("row %d: %w", i, err)
		}
		for k, want := range g.Probs[i] {
			// Written so that NaN fails too.
			if d := math.Abs(float64(probs[k]) - float64(want)); !(d <= tolerance) {
				return fmt.Errorf("row %d: class %d: probability %g, recorded %g, tolerance %g",
					i, k, probs[k], want, tolerance)
			}
		}
	}
	return nil
}
