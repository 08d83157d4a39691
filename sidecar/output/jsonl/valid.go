package jsonl

// maxDepth bounds how deep objects and arrays may be nested, as in
// encoding/json.
const maxDepth = 10_000

// Valid reports whether b is a whole JSON value with nothing but white space around
// it. It agrees with json.Valid, and is several times as fast on logs, which have
// long strings.
func Valid(b []byte) bool {
	i := validValue(b, skipSpace(b, 0), 0)
	return i >= 0 && skipSpace(b, i) == len(b)
}

// validValue returns the end of the value that begins at i, -1 if it is invalid.
func validValue(b []byte, i, depth int) int {
	if i >= len(b) {
		return -1
	}
	switch b[i] {
	case '"':
		return validString(b, i+1)
	case '{':
		return validList(b, i+1, depth+1, '}')
	case '[':
		return validList(b, i+1, depth+1, ']')
	case 't':
		return literal(b, i, "true")
	case 'f':
		return literal(b, i, "false")
	case 'n':
		return literal(b, i, "null")
	}
	return validNumber(b, i)
}

// validList is validValue for the content of an array, or of an object if closing
// is a brace.
func validList(b []byte, i, depth int, closing byte) int {
	if depth > maxDepth {
		return -1
	}
	if i = skipSpace(b, i); i < len(b) && b[i] == closing {
		return i + 1
	}
	for {
		if closing == '}' {
			if i = skipSpace(b, i); i >= len(b) || b[i] != '"' {
				return -1
			}
			if i = validString(b, i+1); i < 0 {
				return -1
			}
			if i = skipSpace(b, i); i >= len(b) || b[i] != ':' {
				return -1
			}
			i++
		}
		if i = validValue(b, skipSpace(b, i), depth); i < 0 {
			return -1
		}
		if i = skipSpace(b, i); i >= len(b) {
			return -1
		}
		switch b[i] {
		case closing:
			return i + 1
		case ',':
			i++
		default:
			return -1
		}
	}
}

// plain are the bytes that need no escape in a string.
var plain = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= ' ' && c != '"' && c != '\\'
	}
	return t
}()

// validString returns the end of the string whose opening quote is before i.
func validString(b []byte, i int) int {
	for i < len(b) {
		if plain[b[i]] {
			i++
			continue
		}
		switch {
		case b[i] == '"':
			return i + 1
		case b[i] != '\\' || i+1 == len(b):
			return -1
		}
		switch b[i+1] {
		case 'u':
			if i+6 > len(b) || !isHex(b[i+2]) || !isHex(b[i+3]) || !isHex(b[i+4]) || !isHex(b[i+5]) {
				return -1
			}
			i += 6
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			i += 2
		default:
			return -1
		}
	}
	return -1
}

func isHex(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func literal(b []byte, i int, word string) int {
	if len(b)-i < len(word) || string(b[i:i+len(word)]) != word {
		return -1
	}
	return i + len(word)
}

func validNumber(b []byte, i int) int {
	if i < len(b) && b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if i = digits(b, i); i < 0 {
		return -1
	}
	if i < len(b) && b[i] == '.' {
		if i = digits(b, i+1); i < 0 {
			return -1
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		return digits(b, i)
	}
	return i
}

// digits returns where a run of at least one digit ends, -1 if there is none.
func digits(b []byte, i int) int {
	from := i
	for i < len(b) && isDigit(b[i]) {
		i++
	}
	if i == from {
		return -1
	}
	return i
}
