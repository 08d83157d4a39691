// Package test holds what no package can test alone.
package test

import (
	"bufio"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"serveflow/test/program"
)

const root = ".."

// pages are all documents of the repository.
func pages(t *testing.T) (all []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || slices.Contains([]string{"bin", "build", "node_modules"}, d.Name())):
			return filepath.SkipDir // not ours, or made by make
		case strings.HasSuffix(path, ".md"):
			all = append(all, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range []string{"README.md", "suricata-lua/README.md", "zeek-scripts/README.md", "docs/metrics.md", "models/channel/DATASHEET.md"} {
		if !slices.Contains(all, filepath.Join(root, page)) {
			t.Errorf("%s is not among the pages", page)
		}
	}
	return all
}

// command is a simple command of a shell block, at its place.
type command struct {
	page string
	line int
	args []string
}

var separator = regexp.MustCompile(`&&|\|\||[;|&]`)

// commands returns the commands in the sh blocks of a page.
func commands(t *testing.T, page string) (all []command) {
	t.Helper()
	f, err := os.Open(page)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	inside, pending := false, ""
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if strings.HasPrefix(line, "```") {
			inside = line == "```sh"
			continue
		}
		if !inside {
			continue
		}
		if cut, ok := strings.CutSuffix(line, `\`); ok {
			pending += cut
			continue
		}
		line, pending = pending+line, ""
		line, _, _ = strings.Cut(line, " #")
		for _, part := range separator.Split(line, -1) {
			if args := strings.Fields(part); len(args) > 0 && !strings.HasPrefix(args[0], "#") {
				all = append(all, command{page, n, args})
			}
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestDocumentedCommands checks that what the documents tell people to type
// exists: the targets of make, and the subcommands and flags of serveflow.
func TestDocumentedCommands(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, page := range pages(t) {
		for _, c := range commands(t, page) {
			name := filepath.Base(c.args[0])
			seen[name]++
			switch name {
			case "make":
				targets, rules := c.args[1:], makefile
				if len(targets) > 2 && targets[0] == "-C" {
					if rules, err = os.ReadFile(filepath.Join(root, targets[1], "Makefile")); err != nil {
						t.Errorf("%s:%d: %v", c.page, c.line, err)
					}
					targets = targets[2:]
				}
				for _, target := range targets {
					if !strings.Contains(target, "=") && !strings.Contains(string(rules), "\n"+target+":") {
						t.Errorf("%s:%d: the Makefile has no target %q", c.page, c.line, target)
					}
				}
			case "serveflow":
				checkServeflow(t, c)
			case "go":
				if len(c.args) > 2 && c.args[1] == "run" && strings.HasPrefix(c.args[2], "./") && !exists(filepath.Join(root, c.args[2])) {
					t.Errorf("%s:%d: there is no program %s", c.page, c.line, c.args[2])
				}
			}
		}
	}
	if seen["make"] == 0 || seen["serveflow"] == 0 {
		t.Errorf("hardly any commands were found: %v", seen)
	}
}

// TestUnitCommands does the same for the systemd unit.
func TestUnitCommands(t *testing.T) {
	const unit = root + "/packaging/serveflow.service"
	data, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for i, line := range strings.Split(string(data), "\n") {
		if _, value, _ := strings.Cut(line, "="); strings.HasPrefix(value, "/usr/local/bin/serveflow ") {
			checkServeflow(t, command{unit, i + 1, strings.Fields(value)})
			found++
		}
	}
	if found != 1 {
		t.Errorf("%d commands of serveflow in %s, want 1", found, unit)
	}
}

// checkServeflow asks a subcommand for its help and looks for the flags there.
func checkServeflow(t *testing.T, c command) {
	t.Helper()
	if len(c.args) < 2 {
		t.Errorf("%s:%d: serveflow without a subcommand", c.page, c.line)
		return
	}
	sub := c.args[1]
	out, err := exec.Command(serveflow, sub, "--help").CombinedOutput()
	if len(c.args) > 2 && strings.Contains(string(out), "Usage: serveflow "+sub+" <command>") {
		out, err = exec.Command(serveflow, sub, c.args[2], "--help").CombinedOutput()
		sub += " " + c.args[2]
	}
	if err != nil {
		t.Errorf("%s:%d: serveflow %s --help: %v\n%s", c.page, c.line, sub, err, out)
		return
	}
	for _, arg := range c.args[2:] {
		flag, _, _ := strings.Cut(arg, "=")
		if !strings.HasPrefix(flag, "-") {
			continue
		}
		negated := "--[no-]" + strings.TrimPrefix(flag, "--no-") // as help writes what may be switched off
		known := regexp.MustCompile(`(^|[\s,])(` + regexp.QuoteMeta(flag) + `|` + regexp.QuoteMeta(negated) + `)($|[\s,=])`)
		if !known.Match(out) {
			t.Errorf("%s:%d: serveflow %s has no flag %s", c.page, c.line, sub, flag)
		}
	}
}

// serveflow is the program, built for the tests.
var serveflow string

func TestMain(m *testing.M) {
	os.Exit(program.Main(m, root, &serveflow))
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// TestLinks checks that the documents' links to files lead somewhere, to a heading of that
// name if they name one, and likewise what the program and its files say of docs.
func TestLinks(t *testing.T) {
	check := func(from, path, anchor string) {
		text, err := os.ReadFile(path)
		if info, other := os.Stat(path); other == nil && info.IsDir() {
			return
		}
		if err != nil {
			t.Errorf("%s: %v", from, err)
		} else if anchor != "" && !slices.Contains(headings(string(text)), anchor) {
			t.Errorf("%s: %s has no heading for #%s", from, path, anchor)
		}
	}
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			path, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(path, "://") {
				continue
			}
			if path == "" {
				path = filepath.Base(page)
			}
			check(page, filepath.Join(filepath.Dir(page), path), anchor)
		}
	}
	said := regexp.MustCompile(`\b(docs/[a-z0-9/-]+\.md)(?:#([a-z0-9-]+))?`)
	for _, file := range tracked(t, "*.go", "*.lua", "*.zeek", "*.h", "*.cc", "*.toml", "*.yml", "*.yaml") {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range said.FindAllStringSubmatch(string(text), -1) {
			check(file, filepath.Join(root, m[1]), m[2])
		}
	}
}

// TestPagesInMessages checks that messages name pages where packages put them.
func TestPagesInMessages(t *testing.T) {
	said := regexp.MustCompile(`"[^"]*\bdocs/[a-z0-9/-]+\.md[^"]*"`)
	found := 0
	for _, file := range tracked(t, "cmd/*.go", "sidecar/*.go") {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			at := said.FindStringIndex(line)
			if at == nil || strings.HasPrefix(strings.TrimSpace(line), "//") {
				continue
			}
			found++
			if !strings.HasSuffix(line[:at[0]], "pages.At(") {
				t.Errorf("%s: %s is not where a package puts it: use pages.At", file, line[at[0]:at[1]])
			}
		}
	}
	if found == 0 {
		t.Error("no message names a page")
	}
}

// headings are the anchors that a page's headings have on GitHub.
func headings(page string) (anchors []string) {
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(page, -1) {
		anchor := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, m[1])
		anchors = append(anchors, anchor)
	}
	return anchors
}

// tracked are the repository's files whose names match.
func tracked(t *testing.T, patterns ...string) []string {
	t.Helper()
	out, err := exec.Command("git", append([]string{"-C", root, "ls-files", "--"}, patterns...)...).Output()
	if err != nil {
		t.Skipf("SKIPPED: no git checkout: %v", err)
	}
	return strings.Fields(string(out))
}

var metric = regexp.MustCompile(`\bserveflow_[a-z_]+[a-z]`)

// TestMetricsInDocuments checks that the metrics that documents and alerts speak of are
// those that docs/metrics.md lists, which a test of package telemetry holds to the
// program.
func TestMetricsInDocuments(t *testing.T) {
	list, err := os.ReadFile(filepath.Join(root, "docs/metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	more := []string{"packaging/alerts.yml", "zeek-scripts/README.md", "suricata-lua/README.md"}
	for i := range more {
		more[i] = filepath.Join(root, more[i])
	}
	for _, page := range append(pages(t), more...) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range metric.FindAllString(string(text), -1) {
			base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
			if !strings.Contains(string(list), "`"+base+"`") && !strings.Contains(string(list), "`"+base+"{") {
				t.Errorf("%s: docs/metrics.md has no %s", page, name)
			}
			found++
		}
	}
	if found < 50 {
		t.Errorf("%d metrics were found", found)
	}
}

// TestImports checks the arrows that docs/packages.md draws: a package of
// sidecar/ imports no other of them than the page says.
func TestImports(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs/packages.md"))
	if err != nil {
		t.Fatal(err)
	}
	allowed := map[string][]string{}
	for _, m := range regexp.MustCompile(`(?m)^([a-z/, ]+) -> ([a-z/, ]+)$`).FindAllStringSubmatch(string(text), -1) {
		to := strings.Split(m[2], ", ")
		for _, from := range strings.Split(m[1], ", ") {
			allowed[from] = to
		}
	}

	const prefix = "serveflow/sidecar/"
	list := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./sidecar/...")
	list.Dir, list.Stderr = root, os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		from, ok := strings.CutPrefix(fields[0], prefix)
		if !ok {
			continue // sidecar itself
		}
		room := from
		for allowed[room] == nil && strings.Contains(room, "/") {
			room = path.Dir(room)
		}
		to, ok := allowed[room]
		if !ok {
			t.Errorf("docs/packages.md does not say what %s imports", from)
			continue
		}
		for _, imported := range fields[1:] {
			name, ok := strings.CutPrefix(imported, prefix)
			if ok && !within(name, room) && !slices.ContainsFunc(to, func(group string) bool { return within(name, group) }) {
				t.Errorf("%s imports %s, which docs/packages.md does not say", from, name)
			}
		}
	}
}

// within tells whether a package is the given one or below it.
func within(name, group string) bool {
	return name == group || strings.HasPrefix(name, group+"/")
}
