// Package manual writes what a package of the program carries beside it, made from the
// command line's own definition: the manual page (mdoc) and completions for the shells
// bash, zsh and fish.
//
// What is hidden in the command line is in none of them.
package manual

import (
	"strings"

	"github.com/alecthomas/kong"
)

// commands returns the subcommands that can be run and are not hidden, in the order of
// their definition.
func commands(app *kong.Application) []*kong.Node {
	return app.Leaves(true)
}

// name returns what is typed for a subcommand, without the program: "bundle pack".
func name(n *kong.Node) string {
	words := []string{n.Name}
	for p := n.Parent; p != nil && p.Type == kong.CommandNode; p = p.Parent {
		words = append([]string{p.Name}, words...)
	}
	return strings.Join(words, " ")
}

// flags returns the flags of a subcommand alone, without --help and hidden ones.
func flags(n *kong.Node) (all []*kong.Flag) {
	for _, group := range n.AllFlags(true) {
		for _, f := range group {
			if f.Name != "help" {
				all = append(all, f)
			}
		}
	}
	return all
}

// argument is what a flag or a positional takes, as completions see it.
type argument int

const (
	nothing argument = iota
	word             // something that cannot be completed
	choice           // one of Enum
	file
	directory
)

// takes says what can be completed for a value. Paths are known by their placeholder,
// as not all of them have to exist.
func takes(v *kong.Value, placeholder string) argument {
	switch {
	case v.IsBool():
		return nothing
	case v.Enum != "":
		return choice
	case v.Tag.Type == "existingdir" || placeholder == "DIR":
		return directory
	case v.Tag.Type == "existingfile" || strings.Contains(placeholder, "DIR"):
		return file
	}
	switch placeholder {
	case "FILE", "PATH", "CSV", "TOML":
		return file
	}
	return word
}

// spellings are the ways a flag is written, the long one first.
func spellings(f *kong.Flag) []string {
	all := []string{"--" + f.Name}
	if f.Tag.Negatable != "" {
		all = append(all, "--no-"+f.Name)
	}
	if f.Short != 0 {
		all = append(all, "-"+string(f.Short))
	}
	return all
}
