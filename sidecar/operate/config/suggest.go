package config

import (
	"maps"
	"slices"
	"strings"
)

// renamed has the present names of keys that earlier versions had.
var renamed = map[string]string{
	"flow.quiet":  "flow.idle_timeout",
	"flow.forget": "flow.retention",
}

// hint names the key that an unknown one probably means.
func (d *document) hint(key string, isTable bool) string {
	if now, ok := renamed[key]; ok {
		return "its name is now " + now
	}
	table, name, dotted := strings.Cut(key, ".")
	if isTable && !dotted {
		if near := nearest(key, tables); near != "" {
			return "did you mean [" + near + "]?"
		}
		return "the tables are " + strings.Join(tables, ", ")
	}
	known := slices.Sorted(maps.Keys(d.keys))
	if near := nearest(key, known); near != "" {
		return "did you mean " + near + "?"
	}
	if !dotted {
		name = key
	}
	// The right name in the wrong table, or in none.
	if i := slices.IndexFunc(known, func(k string) bool { return k[strings.IndexByte(k, '.')+1:] == name }); i >= 0 {
		return "did you mean " + known[i] + "?"
	}
	if !dotted {
		return "the keys outside tables are: bundle"
	}
	var own []string
	for _, k := range known {
		if rest, ok := strings.CutPrefix(k, table+"."); ok {
			own = append(own, rest)
		}
	}
	return "the keys of [" + table + "] are " + strings.Join(own, ", ")
}

// nearest returns the candidate that is few enough edits away, or "". Among
// equals the first wins.
func nearest(word string, candidates []string) string {
	best, fewest := "", 2+len(word)/6
	for _, c := range candidates {
		if n := edits(word, c); n < fewest {
			best, fewest = c, n
		}
	}
	return best
}

// edits counts the letters to insert, delete, replace or swap with their
// neighbour to turn a into b (optimal string alignment).
func edits(a, b string) int {
	// Three rows of the usual matrix: the current one and the two before it.
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row := rows[0], rows[1], rows[2]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := last[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(last[j]+1, row[j-1]+1, change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		rows = [3][]int{last, row, before}
	}
	return rows[1][len(b)]
}
