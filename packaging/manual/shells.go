package manual

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// Shells are the shells that Completion knows.
var Shells = []string{"bash", "zsh", "fish"}

// Completion writes the script that completes the command line in a shell, one of Shells.
func Completion(w io.Writer, app *kong.Application, shell string) error {
	out := bufio.NewWriter(w)
	switch shell {
	case "bash":
		bash(out, app)
	case "zsh":
		zsh(out, app)
	case "fish":
		fish(out, app)
	default:
		return fmt.Errorf("no completion for %q: use %s", shell, strings.Join(Shells, ", "))
	}
	return out.Flush()
}

// groups are the first words of commands, each with what follows it: none for one that
// stands alone.
func groups(app *kong.Application) (all []*kong.Node) {
	for _, n := range app.Children {
		if !n.Hidden {
			all = append(all, n)
		}
	}
	return all
}

func visible(nodes []*kong.Node) (names []string) {
	for _, n := range nodes {
		if !n.Hidden {
			names = append(names, n.Name)
		}
	}
	return names
}

func bash(w io.Writer, app *kong.Application) {
	fmt.Fprintf(w, `# Completion of %[1]s for bash.
_%[1]s() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command="" word i
	for ((i = 1; i < COMP_CWORD; i++)); do
		word="$command${command:+ }${COMP_WORDS[i]}"
		case $word in
`, app.Name)
	for _, n := range groups(app) {
		fmt.Fprintf(w, "\t\t%q) command=$word ;;\n", n.Name)
		for _, c := range visible(n.Children) {
			fmt.Fprintf(w, "\t\t%q) command=$word ;;\n", n.Name+" "+c)
		}
	}
	fmt.Fprintf(w, "\t\tesac\n\tdone\n\tlocal flags=\"--help\" files=\"\"\n\tcase $command in\n")
	fmt.Fprintf(w, "\t\"\") COMPREPLY=($(compgen -W %q -- \"$cur\")); return ;;\n", strings.Join(visible(app.Children), " ")+" --help")
	for _, n := range groups(app) {
		if !n.Leaf() {
			fmt.Fprintf(w, "\t%q) COMPREPLY=($(compgen -W %q -- \"$cur\")); return ;;\n", n.Name, strings.Join(visible(n.Children), " ")+" --help")
		}
	}
	for _, n := range commands(app) {
		bashCommand(w, n)
	}
	fmt.Fprintf(w, `	esac
	if [[ $cur == -* ]]; then
		COMPREPLY=($(compgen -W "$flags" -- "$cur"))
	elif [[ -n $files ]]; then
		compopt -o filenames 2>/dev/null
		COMPREPLY=($(compgen -f -- "$cur"))
	fi
}
complete -F _%[1]s %[1]s
`, app.Name)
}

func bashCommand(w io.Writer, n *kong.Node) {
	fmt.Fprintf(w, "\t%q)\n\t\tcase $prev in\n", name(n))
	var all []string
	for _, f := range flags(n) {
		all = append(all, spellings(f)...)
		pattern := "--" + f.Name
		if f.Short != 0 {
			pattern += "|-" + string(f.Short)
		}
		switch takes(f.Value, f.PlaceHolder) {
		case word:
			fmt.Fprintf(w, "\t\t%s) return ;;\n", pattern)
		case choice:
			fmt.Fprintf(w, "\t\t%s) COMPREPLY=($(compgen -W %q -- \"$cur\")); return ;;\n", pattern, strings.Join(f.EnumSlice(), " "))
		case file:
			fmt.Fprintf(w, "\t\t%s) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n", pattern)
		case directory:
			fmt.Fprintf(w, "\t\t%s) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- \"$cur\")); return ;;\n", pattern)
		}
	}
	fmt.Fprintf(w, "\t\tesac\n\t\tflags=\"%s --help\"\n", strings.Join(all, " "))
	if len(n.Positional) > 0 {
		if values := n.Positional[0].EnumSlice(); n.Positional[0].Enum != "" {
			fmt.Fprintf(w, "\t\tif [[ $cur != -* ]]; then COMPREPLY=($(compgen -W %q -- \"$cur\")); return; fi\n", strings.Join(values, " "))
		} else {
			fmt.Fprintf(w, "\t\tfiles=1\n")
		}
	}
	fmt.Fprintf(w, "\t\t;;\n")
}

func fish(w io.Writer, app *kong.Application) {
	fmt.Fprintf(w, "# Completion of %[1]s for fish.\ncomplete -c %[1]s -f\n", app.Name)
	for _, n := range groups(app) {
		fmt.Fprintf(w, "complete -c %s -n __fish_use_subcommand -a %s -d %s\n", app.Name, n.Name, single(summary(n.Help)))
		for _, c := range n.Children {
			if !c.Hidden {
				fmt.Fprintf(w, "complete -c %s -n '__fish_seen_subcommand_from %s; and not __fish_seen_subcommand_from %s' -a %s -d %s\n",
					app.Name, n.Name, strings.Join(visible(n.Children), " "), c.Name, single(summary(c.Help)))
			}
		}
	}
	for _, n := range commands(app) {
		seen := "__fish_seen_subcommand_from " + strings.ReplaceAll(name(n), " ", "; and __fish_seen_subcommand_from ")
		if len(n.Positional) > 0 {
			if n.Positional[0].Enum != "" {
				fmt.Fprintf(w, "complete -c %s -n '%s' -a '%s'\n", app.Name, seen, strings.Join(n.Positional[0].EnumSlice(), " "))
			} else {
				fmt.Fprintf(w, "complete -c %s -n '%s' -F\n", app.Name, seen)
			}
		}
		for _, f := range flags(n) {
			short := ""
			if f.Short != 0 {
				short = " -s " + string(f.Short)
			}
			line := fmt.Sprintf("complete -c %s -n '%s' -l %s%s -d %s", app.Name, seen, f.Name, short, single(summary(f.Help)))
			switch takes(f.Value, f.PlaceHolder) {
			case word:
				line += " -x"
			case choice:
				line += " -x -a '" + strings.Join(f.EnumSlice(), " ") + "'"
			case file:
				line += " -r -F"
			case directory:
				line += " -x -a '(__fish_complete_directories)'"
			}
			fmt.Fprintln(w, line)
			if f.Tag.Negatable != "" {
				fmt.Fprintf(w, "complete -c %s -n '%s' -l no-%s\n", app.Name, seen, f.Name)
			}
		}
	}
}

func zsh(w io.Writer, app *kong.Application) {
	fmt.Fprintf(w, "#compdef %[1]s\n# Completion of %[1]s for zsh.\n_%[1]s() {\n", app.Name)
	fmt.Fprintf(w, "\tlocal -a commands\n\tif (( CURRENT == 2 )); then\n")
	zshWords(w, groups(app))
	fmt.Fprintf(w, "\t\treturn\n\tfi\n")
	for _, n := range groups(app) {
		if n.Leaf() {
			continue
		}
		fmt.Fprintf(w, "\tif (( CURRENT == 3 )) && [[ $words[2] == %s ]]; then\n", n.Name)
		zshWords(w, n.Children)
		fmt.Fprintf(w, "\t\treturn\n\tfi\n")
	}
	fmt.Fprintf(w, "\tlocal command=$words[2]\n\tcase $command in\n\t")
	for _, n := range groups(app) {
		if !n.Leaf() {
			fmt.Fprintf(w, "%s) command=\"$words[2] $words[3]\"; shift words; (( CURRENT-- )) ;;\n\t", n.Name)
		}
	}
	fmt.Fprintf(w, "esac\n\tshift words; (( CURRENT-- ))\n\tcase $command in\n")
	for _, n := range commands(app) {
		fmt.Fprintf(w, "\t%q) _arguments", name(n))
		for _, f := range flags(n) {
			for _, spelling := range spellings(f) {
				fmt.Fprintf(w, " \\\n\t\t%s", single(spelling+"["+zshText(summary(f.Help))+"]"+zshValue(f.Value, f.PlaceHolder)))
			}
		}
		for _, a := range n.Positional {
			kind := "1:"
			if a.IsCumulative() {
				kind = "*:"
			}
			what := "_files"
			if a.Enum != "" {
				what = "(" + strings.Join(a.EnumSlice(), " ") + ")"
			}
			fmt.Fprintf(w, " \\\n\t\t%s", single(kind+zshText(a.Name)+":"+what))
		}
		fmt.Fprintf(w, " \\\n\t\t'--help[Show the help.]' ;;\n")
	}
	fmt.Fprintf(w, "\tesac\n}\n_%[1]s \"$@\"\n", app.Name)
}

func zshWords(w io.Writer, nodes []*kong.Node) {
	fmt.Fprintf(w, "\t\tcommands=(")
	for _, n := range nodes {
		if !n.Hidden {
			fmt.Fprintf(w, "\n\t\t\t%s", single(n.Name+":"+zshText(summary(n.Help))))
		}
	}
	fmt.Fprintf(w, ")\n\t\t_describe command commands\n")
}

func zshValue(v *kong.Value, placeholder string) string {
	switch takes(v, placeholder) {
	case word:
		return ":" + zshText(v.Name) + ": "
	case choice:
		return ":" + zshText(v.Name) + ":(" + strings.Join(v.EnumSlice(), " ") + ")"
	case file:
		return ":" + zshText(v.Name) + ":_files"
	case directory:
		return ":" + zshText(v.Name) + ":_directories"
	}
	return ""
}

// zshText takes out of a description what _arguments reads as its own.
func zshText(s string) string {
	return strings.NewReplacer("[", "(", "]", ")", ":", `\:`).Replace(s)
}

// summary is the first sentence of a help.
func summary(help string) string {
	first, _, _ := strings.Cut(help, ". ")
	return strings.TrimSuffix(first, ".")
}

// single quotes a text for any of the shells; none of them can have a quote between.
func single(s string) string { return "'" + strings.ReplaceAll(s, "'", "’") + "'" }
