package manual

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// WritePage writes the manual page serveflow(1) in mdoc, dated as given. The exit codes
// are those of the program with what they mean, the environment the variables that it
// reads.
func WritePage(w io.Writer, app *kong.Application, date time.Time, exits []Exit) error {
	p := &page{out: bufio.NewWriter(w)}
	p.macro("Dd", date.UTC().Format("January 2, 2006"))
	p.macro("Dt", strings.ToUpper(app.Name), "1")
	p.macro("Os")
	p.macro("Sh", "NAME")
	p.macro("Nm", app.Name)
	p.macro("Nd", strings.TrimSuffix(lowerFirst(app.Help), "."))
	p.macro("Sh", "SYNOPSIS")
	p.macro("Nm", app.Name)
	p.macro("Ar", "command")
	p.macro("Op", "Ar arguments")
	p.macro("Nm", app.Name)
	p.macro("Ar", "command")
	p.macro("Fl", "-help")
	p.macro("Sh", "DESCRIPTION")
	p.macro("Nm")
	p.text("labels network flows beside Zeek and Suricata: each gets a label, a score and the reason for it.")
	p.text("Every setting of the sidecar has a default; no configuration is needed.")
	p.macro("Sh", "COMMANDS")
	for _, n := range commands(app) {
		p.command(n)
	}
	p.macro("Sh", "FILES")
	p.macro("Bl", "-tag", "-width", "Ds")
	for _, f := range [][2]string{
		{"/etc/serveflow/serveflow.toml", "configuration, with every key and its default"},
		{"/run/serveflow/serveflow.sock", "socket that taps connect to"},
		{"/var/log/serveflow/labels.jsonl", "label log, one decision a line"},
		{"/var/log/serveflow/shadow.jsonl", "the same of the shadow bundle, if there is one"},
	} {
		p.macro("It", "Pa", f[0])
		p.text(f[1] + ".")
	}
	p.macro("El")
	p.macro("Sh", "EXIT STATUS")
	p.macro("Bl", "-tag", "-width", "Ds")
	for _, e := range exits {
		p.macro("It", fmt.Sprint(e.Code))
		p.text(e.Meaning + ".")
	}
	p.macro("El")
	p.macro("Sh", "SEE ALSO")
	p.text("The documents in /usr/share/doc/serveflow, where a package has brought them.")
	return p.out.Flush()
}

// Exit is an exit code and what it means.
type Exit struct {
	Code    int
	Meaning string
}

type page struct{ out *bufio.Writer }

func (p *page) command(n *kong.Node) {
	p.macro("Ss", name(n))
	p.macro("Nm", "serveflow")
	p.macro("Cm", name(n))
	for _, f := range flags(n) {
		if f.Required {
			p.macro("Fl", "-"+f.Name, "Ar", argName(f.FormatPlaceHolder()))
		}
	}
	if len(flags(n)) > 0 {
		p.macro("Op", "Ar flags")
	}
	for _, a := range n.Positional {
		argument := []string{"Ar", a.Name}
		if a.IsCumulative() {
			argument = append(argument, "...")
		}
		if !a.Required {
			argument = append([]string{"Op"}, argument...)
		}
		p.macro(argument[0], argument[1:]...)
	}
	p.macro("Pp")
	p.text(n.Help)
	if n.Detail != "" {
		p.macro("Pp")
		p.text(n.Detail)
	}
	if len(flags(n)) == 0 && len(n.Positional) == 0 {
		return
	}
	p.macro("Bl", "-tag", "-width", "Ds")
	for _, a := range n.Positional {
		p.macro("It", "Ar", a.Name)
		p.text(a.Help)
	}
	for _, f := range flags(n) {
		item := []string{"Fl"}
		if f.Short != 0 {
			item = append(item, string(f.Short), ",", "Fl")
		}
		long := "-" + f.Name
		if f.Tag.Negatable != "" {
			long = "-[no-]" + f.Name
		}
		item = append(item, long)
		if !f.IsBool() {
			item = append(item, "Ar", argName(f.FormatPlaceHolder()))
		}
		p.macro("It", item...)
		p.text(f.Help)
		if values := f.EnumSlice(); f.Enum != "" {
			p.text("One of: " + strings.Join(values, ", ") + ".")
		}
	}
	p.macro("El")
}

// argName keeps a default that stands for a placeholder from being taken for a macro.
func argName(placeholder string) string { return strings.Trim(placeholder, `"`) }

// macro writes a line that begins with a macro. What a flag or an item takes is one
// argument, blanks and all.
func (p *page) macro(name string, args ...string) {
	p.out.WriteString("." + name)
	for _, a := range args {
		a = escape(a)
		if strings.ContainsAny(a, " \t") && slices.Contains([]string{"It", "Fl", "Ar"}, name) {
			a = `"` + strings.ReplaceAll(a, `"`, `\(dq`) + `"`
		}
		p.out.WriteString(" " + a)
	}
	p.out.WriteByte('\n')
}

// text writes prose, a sentence a line, as mdoc has it, and keeps paragraphs apart.
func (p *page) text(prose string) {
	for i, paragraph := range strings.Split(strings.TrimSpace(prose), "\n\n") {
		if i > 0 {
			p.macro("Pp")
		}
		paragraph = strings.Join(strings.Fields(paragraph), " ")
		for paragraph != "" {
			sentence, rest, more := strings.Cut(paragraph, ". ")
			if more {
				sentence += "."
			}
			p.wrap(escape(sentence))
			paragraph = rest
		}
	}
}

// wrap writes a sentence in lines of at most 78 bytes, where its words permit.
func (p *page) wrap(sentence string) {
	line := ""
	for _, w := range strings.Fields(sentence) {
		if line != "" && len(line)+1+len(w) > 78 {
			p.line(line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += w
	}
	p.line(line)
}

// line writes a line of text, which no macro is.
func (p *page) line(text string) {
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	p.out.WriteString(text + "\n")
}

// escape writes what roff would take for its own or that is not ASCII.
func escape(s string) string {
	return strings.NewReplacer(`\`, `\e`, "’", `'`, "…", "...", "–", `\(en`).Replace(s)
}

func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
