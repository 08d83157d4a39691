package terminal

import "testing"

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain, Ünïcode ✓\tand\nlines": "plain, Ünïcode ✓\tand\nlines",
		"\x1b]0;owned\a":               `\x1b]0;owned\x07`,
		"a\rb\x7f":                     `a\x0db\x7f`,
		"\u009b31m":                    `\u009b31m`,
		"\x9b31m":                      `\x9b31m`,
		"cut \xe2\x82":                 `cut \xe2\x82`,
		"a\u202egnp.exe":               `a\u202egnp.exe`,
		"\uFFFD is a character":        "\uFFFD is a character",
	} {
		if got := Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
}
