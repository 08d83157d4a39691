package jsonl

import (
	"encoding/json"
	"iter"
)

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func skipSpace(b []byte, i int) int {
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	return i
}

// FirstByte is the first byte of b that is not white space, 0 if there is none.
func FirstByte(b []byte) byte {
	if i := skipSpace(b, 0); i < len(b) {
		return b[i]
	}
	return 0
}

// Members iterates over the members of a valid object: the keys without their
// quotes and with any escapes, and the values as they are written.
func Members(b []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		i := skipSpace(b, 0) + 1
		for {
			i = skipSpace(b, i)
			if i >= len(b) || b[i] != '"' {
				return // the closing brace
			}
			end := valueEnd(b, i)
			key := b[i+1 : end-1]
			i = skipSpace(b, skipSpace(b, end)+1)
			end = valueEnd(b, i)
			if !yield(key, b[i:end]) {
				return
			}
			i = skipSpace(b, end) + 1
		}
	}
}

// Without appends a valid object to dst without the members for which drop returns
// true. Everything else is copied unchanged.
func Without(dst, b []byte, drop func(key, value []byte) bool) []byte {
	i := skipSpace(b, 0) + 1
	dst = append(dst, b[:i]...)
	kept := 0
	for from := i; i < len(b); from = i {
		if i = skipSpace(b, i); b[i] != '"' {
			return append(dst, b[from:]...) // the closing brace of an empty object
		}
		key := b[i+1 : valueEnd(b, i)-1]
		value := skipSpace(b, skipSpace(b, valueEnd(b, i))+1)
		end := valueEnd(b, value)
		i = skipSpace(b, end)
		if !drop(key, b[value:end]) {
			if kept++; kept > 1 {
				dst = append(dst, ',')
			}
			dst = append(dst, b[from:i]...)
		}
		if b[i] == '}' {
			return append(dst, b[i:]...)
		}
		i++
	}
	return dst
}

// IsNull reports whether a value is null.
func IsNull(value []byte) bool { return string(value) == "null" }

// valueEnd returns the end of the value that begins at i.
func valueEnd(b []byte, i int) int {
	depth := 0
	for ; i < len(b); i++ {
		switch b[i] {
		case '"':
			for i++; i < len(b) && b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return min(i+1, len(b))
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			} else if depth < 0 {
				return i
			}
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
		}
	}
	return i
}

// IsString reports whether a value is a string.
func IsString(value []byte) bool { return len(value) >= 2 && value[0] == '"' }

// Unquote returns a JSON string's text, or nil if the value is not a string.
func Unquote(value []byte) []byte {
	if !IsString(value) {
		return nil
	}
	text := value[1 : len(value)-1]
	for _, c := range text {
		if c == '\\' {
			var s string
			if json.Unmarshal(value, &s) != nil {
				return nil
			}
			return []byte(s)
		}
	}
	return text
}
