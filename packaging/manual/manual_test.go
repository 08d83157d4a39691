package manual_test

import (
	"bytes"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"serveflow/packaging/manual"
)

// grammar has what the program's own has, and what roff and shells could take for theirs.
type grammar struct {
	Run struct {
		Config string   `short:"c" type:"existingfile" placeholder:"FILE" help:"It's a file. .hidden 'quotes' and \\back\\slashes: [all] \"of\" $them."`
		Events string   `enum:"packet,meta" default:"packet" help:"What the tap sees."`
		Every  int      `default:"1" placeholder:"N" help:"Every Nth."`
		Dir    string   `type:"existingdir" placeholder:"DIR" help:"A directory."`
		Sound  bool     `default:"true" negatable:"" help:"Be loud."`
		Logs   []string `arg:"" optional:"" help:"Logs."`
	} `cmd:"" help:"Run it."`
	Bundle struct {
		Pack struct {
			Output string `short:"o" required:"" placeholder:"FILE" help:"Where to."`
			Bundle string `arg:"" help:"Bundle."`
		} `cmd:"" help:"Pack it."`
		Verify struct{} `cmd:"" help:"Verify it."`
	} `cmd:"" help:"Bundles."`
	Shell struct {
		Name string `arg:"" enum:"bash,zsh" help:"A shell."`
	} `cmd:"" help:"Shells."`
	Secret struct{} `cmd:"" hidden:"" help:"Not for you."`
}

func model(t *testing.T) *kong.Application {
	t.Helper()
	parser, err := kong.New(new(grammar), kong.Name("serveflow"), kong.Description("Labels on traffic."))
	if err != nil {
		t.Fatal(err)
	}
	return parser.Model
}

func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

func page(t *testing.T) string {
	t.Helper()
	var out bytes.Buffer
	if err := manual.WritePage(&out, model(t), time.Unix(1_700_000_000, 0), []manual.Exit{{Code: 0, Meaning: "It worked"}}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestPage(t *testing.T) {
	text := page(t)
	for _, want := range []string{
		".Dd November 14, 2023\n", ".Ss run\n", ".Ss bundle pack\n", ".It Fl c , Fl -config Ar FILE\n",
		".It Fl -[no-]sound\n", "One of: packet, meta.\n", ".Cm bundle pack\n.Fl -output Ar FILE\n", `\eback\eslashes`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(text, "Not for you") || strings.Contains(text, "secret") {
		t.Error("a hidden command is in the page")
	}
	if text != page(t) {
		t.Error("two pages of the same grammar differ")
	}
}

// mandoc reads the page as its readers do.
func TestPageByMandoc(t *testing.T) {
	lint := exec.Command(tool(t, "mandoc"), "-T", "lint", "-W", "style")
	lint.Stdin = strings.NewReader(page(t))
	out, _ := lint.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if !strings.Contains(line, "outdated mandoc.db") { // of what is installed here
			t.Error(line)
		}
	}
	render := exec.Command("mandoc", "-T", "utf8")
	render.Stdin = strings.NewReader(page(t))
	text, err := render.Output()
	if err != nil {
		t.Fatal(err)
	}
	plain := strings.Join(strings.Fields(regexp.MustCompile(".\b").ReplaceAllString(string(text), "")), " ")
	if !strings.Contains(plain, `.hidden 'quotes' and \back\slashes: [all] "of" $them`) {
		t.Errorf("the page reads\n%s", plain)
	}
}

func script(t *testing.T, shell string) string {
	t.Helper()
	var out bytes.Buffer
	if err := manual.Completion(&out, model(t), shell); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "secret") {
		t.Errorf("%s: a hidden command is completed", shell)
	}
	return out.String()
}

func TestBash(t *testing.T) {
	const ask = `
COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_serveflow
printf '%s\n' "${COMPREPLY[@]}"`
	for line, want := range map[string]string{
		"serveflow ":                     "run bundle shell --help",
		"serveflow b":                    "bundle",
		"serveflow bundle ":              "pack verify --help",
		"serveflow bundle p":             "pack",
		"serveflow run --e":              "--events --every",
		"serveflow run --events ":        "packet meta",
		"serveflow run --every ":         "",
		"serveflow run --no":             "--no-sound",
		"serveflow run --config manual_": "manual_test.go",
		"serveflow run -c manual_":       "manual_test.go",
		"serveflow run manual_":          "manual_test.go",
		"serveflow bundle pack --":       "--output --help",
		"serveflow bundle verify --":     "--help",
		"serveflow shell z":              "zsh",
	} {
		words := strings.Split(line, " ")
		out, err := exec.Command(tool(t, "bash"), append([]string{"-c", script(t, "bash") + ask, "bash"}, words...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
		if got := strings.Join(strings.Fields(string(out)), " "); got != want {
			t.Errorf("%q is completed by %q, want %q", line, got, want)
		}
	}
}

func TestFish(t *testing.T) {
	for line, want := range map[string]string{
		"serveflow b":                "bundle",
		"serveflow bundle ":          "pack verify",
		"serveflow run --e":          "--events --every",
		"serveflow run --events ":    "meta packet",
		"serveflow bundle pack --ou": "--output",
		"serveflow shell z":          "zsh",
	} {
		out, err := exec.Command(tool(t, "fish"), "--no-config", "-c", script(t, "fish")+"\ncomplete -C "+single(line)).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
		var got []string
		for line := range strings.Lines(string(out)) {
			word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
			got = append(got, word)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q is completed by %q, want %q", line, got, want)
		}
	}
}

func single(s string) string { return "'" + s + "'" }

// zsh reads the script, defines its function and calls it; _arguments itself needs a
// terminal.
func TestZsh(t *testing.T) {
	const ask = `
_describe() { print -l -- ${(P)2} }
_arguments() { print -l -- "$@" }
ask() { words=("$@"); CURRENT=$#; _serveflow }
`
	body := strings.TrimSuffix(script(t, "zsh"), "_serveflow \"$@\"\n")
	for line, want := range map[string][]string{
		"serveflow ":             {"run:Run it", "bundle:Bundles"},
		"serveflow bundle ":      {"pack:Pack it", "verify:Verify it"},
		"serveflow run ":         {"--config[It’s a file]:config:_files", "--events[What the tap sees]:events:(packet meta)", "--no-sound[Be loud]", "*:logs:_files"},
		"serveflow bundle pack ": {"-o[Where to]:output:_files"},
		"serveflow shell ":       {"1:name:(bash zsh)"},
	} {
		words := strings.Split(line, " ")
		for i, w := range words {
			words[i] = single(w)
		}
		out, err := exec.Command(tool(t, "zsh"), "-f", "-c", body+ask+"ask "+strings.Join(words, " ")).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
		for _, w := range want {
			if !strings.Contains("\n"+string(out), "\n"+w+"\n") {
				t.Errorf("%q: %q is not offered in\n%s", line, w, out)
			}
		}
	}
}

func TestNoSuchShell(t *testing.T) {
	if err := manual.Completion(new(bytes.Buffer), model(t), "tcsh"); err == nil || !strings.Contains(err.Error(), "bash, zsh, fish") {
		t.Errorf("tcsh: %v", err)
	}
}
