// Package terminal makes text from outside safe for a terminal: names of files,
// labels and manifests can carry escape sequences that move the cursor, change the
// title or type input.
package terminal

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean returns s with control characters (C0, DEL and C1), invisible format
// characters such as the bidirectional overrides, and bytes that are not UTF-8
// written as Go escapes them: \x1b, \u009b. Line feeds and tabs stay.
func Clean(s string) string {
	if !strings.ContainsFunc(s, harmful) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1, r < utf8.RuneSelf && harmful(r):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case harmful(r) && r != utf8.RuneError:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteString(s[i : i+size])
		}
		i += size
	}
	return b.String()
}

// harmful reports whether a character must be escaped. The replacement character is
// one: a range over a string yields it for a byte that is not UTF-8.
func harmful(r rune) bool {
	return r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == utf8.RuneError)
}
