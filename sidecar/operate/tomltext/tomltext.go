// Package tomltext checks a TOML document before it is parsed: the parser's time
// and memory grow with the square of a key's depth.
package tomltext

import (
	"bytes"
	"fmt"
)

// MaxDepth is how many parts a key may have, and how deep arrays and inline tables may
// be nested.
const MaxDepth = 16

// Check returns an error with the line where a document is nested too deeply. It
// finds no other mistakes; the parser does.
func Check(text []byte) error {
	dots, open, line := 0, 0, 1
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\n':
			dots = 0
			line++
		case '#':
			for i+1 < len(text) && text[i+1] != '\n' {
				i++
			}
		case '"', '\'':
			end := stringEnd(text, i)
			line += bytes.Count(text[i:end], []byte{'\n'})
			i = end - 1
		case '.':
			dots++
		case '[', '{':
			open++
			dots = 0
		case ']', '}':
			open = max(open-1, 0)
			dots = 0
		case '=', ',':
			dots = 0
		}
		if dots >= MaxDepth || open > MaxDepth {
			return fmt.Errorf("line %d: nested more than %d deep", line, MaxDepth)
		}
	}
	return nil
}

// stringEnd returns the end of the string that begins at i; one that is not closed
// ends with its line, or with the text if it may have several lines.
func stringEnd(text []byte, i int) int {
	quote := text[i]
	triple := bytes.Repeat([]byte{quote}, 3)
	long := bytes.HasPrefix(text[i:], triple)
	from := i + 1
	if long {
		from = i + len(triple)
	}
	for j := from; j < len(text); j++ {
		switch {
		case text[j] == '\\' && quote == '"':
			j++
		case long && bytes.HasPrefix(text[j:], triple):
			return j + len(triple)
		case !long && text[j] == quote:
			return j + 1
		case !long && text[j] == '\n':
			return j
		}
	}
	return len(text)
}
