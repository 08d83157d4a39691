package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"
)

// progress returns a function that draws a bar on standard error, or nil if that is
// not a terminal.
func progress(what string) func(done, total int) {
	if !term.IsTerminal(int(os.Stderr.Fd())) {
		return nil
	}
	const width = 30
	return func(done, total int) {
		filled := width * done / max(total, 1)
		fmt.Fprintf(os.Stderr, "\r%s %s%s %d/%d", what, strings.Repeat("█", filled), strings.Repeat("·", width-filled), done, total)
		if done == total {
			fmt.Fprintln(os.Stderr)
		}
	}
}
