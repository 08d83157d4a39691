package test

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// TestTrainYourOwn runs the commands of docs/train-your-own.md, in their order, and
// expects the output that the page shows. Training is left out, and what comes after
// it, where neither .venv nor SERVEFLOW_PYTHON has what models/train needs.
func TestTrainYourOwn(t *testing.T) {
	if testing.Short() {
		t.Skip("trains models")
	}
	dir := ownPlace(t)
	python := ownPython(t, dir)
	output := ""
	for _, b := range blocks(t, root+"/docs/train-your-own.md") {
		switch {
		case b.kind == "toml":
			write(t, filepath.Join(dir, "labels.toml"), b.text)
		case b.kind == "":
			if output != b.text {
				t.Errorf("the output is\n%s\nand not\n%s", output, b.text)
			}
		case strings.Contains(b.text, "zeek -C -r"):
			runZeek(t, b.text)
		case strings.Contains(b.text, ".venv/bin/python") && !python:
			t.Skip("TRAINING IS SKIPPED: run make train-deps, or name a Python with models/train/requirements.txt in SERVEFLOW_PYTHON")
		default:
			output = shell(t, dir, b.text)
		}
		if m := regexp.MustCompile(`(?m)^F1 macro, all flows +([0-9.]+)`).FindStringSubmatch(output); m != nil {
			if f1, err := strconv.ParseFloat(m[1], 64); err != nil || f1 < .5 {
				t.Errorf("the bundle has learned little:\n%s", output)
			}
		}
	}
	if !strings.Contains(output, "ssh-interactive-0001-putty.pcap.zst") {
		t.Errorf("the page does not end with labels of a capture:\n%s", output)
	}
}

// ownPlace is a folder that looks like that of the repository.
func ownPlace(t *testing.T) string {
	dir := t.TempDir()
	for name, to := range map[string]string{
		"bin/serveflow": serveflow, "test": root + "/test", "models": root + "/models", "Makefile": root + "/Makefile",
	} {
		to, err := filepath.Abs(to)
		if err != nil {
			t.Fatal(err)
		}
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, name); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestTrain runs the tests of models/train.
func TestTrain(t *testing.T) {
	if testing.Short() {
		t.Skip("trains models")
	}
	dir := ownPlace(t)
	if !ownPython(t, dir) {
		t.Skip("TESTS OF TRAINING ARE SKIPPED: run make train-deps, or name a Python with models/train/requirements.txt in SERVEFLOW_PYTHON")
	}
	shell(t, dir, ".venv/bin/python -m unittest models.train.test_train 2>&1")
}

// ownPython makes .venv, as make train-deps would, of the Python that there is.
func ownPython(t *testing.T, dir string) bool {
	python, err := filepath.Abs(root + "/.venv/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	python = cmp.Or(os.Getenv("SERVEFLOW_PYTHON"), python)
	if err := exec.Command(python, "-c", "import lightgbm, onnx, pyarrow, sklearn").Run(); err != nil {
		return false
	}
	bin := filepath.Join(dir, ".venv/bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(bin, "python"), "#!/bin/sh\nexec '"+python+"' \"$@\"\n")
	if err := os.Chmod(filepath.Join(bin, "python"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, ".venv/complete"), "") // newer than what it is made of
	return true
}

// runZeek runs a command on a capture of the lab and compares Zeek's logs with those
// that the repository has, which are of that capture, too.
func runZeek(t *testing.T, command string) {
	if _, err := exec.LookPath("zeek"); err != nil {
		t.Log("no zeek on PATH: its logs are those that the repository has")
		return
	}
	const capture = "web-0002-curl-http1.pcap.zst"
	dir := t.TempDir()
	packed, err := os.Open(filepath.Join(root, "test/captures/lab/pcap", capture))
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	z, err := zstd.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var plain strings.Builder
	if _, err := z.WriteTo(&plain); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "captures"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "captures/monday.pcap"), plain.String())
	shell(t, dir, command)
	for _, log := range []string{"conn.log", "ssl.log"} {
		made, err := os.ReadFile(filepath.Join(dir, "logs/monday", log))
		if err != nil {
			t.Fatal(err)
		}
		kept, err := os.ReadFile(filepath.Join(root, "test/captures/lab/zeek", log))
		if err != nil {
			t.Fatal(err)
		}
		rows := 0
		for row := range strings.Lines(string(made)) {
			columns := strings.SplitN(row, "\t", 3) // all but the uid
			if strings.HasPrefix(row, "#") {
				continue
			}
			if rows++; !regexp.MustCompile(regexp.QuoteMeta(columns[0]) + "\t[^\t]+\t" + regexp.QuoteMeta(columns[2])).Match(kept) {
				t.Errorf("%s has a row that the repository's has not: %s", log, row)
			}
		}
		if rows == 0 {
			t.Errorf("no row in %s", log)
		}
	}
}

// shell runs commands and returns what they write to standard output.
func shell(t *testing.T, dir, commands string) string {
	t.Helper()
	c := exec.Command("bash", "-euo", "pipefail", "-c", commands)
	c.Dir = dir
	var out, err strings.Builder
	c.Stdout, c.Stderr = &out, &err
	if failed := c.Run(); failed != nil {
		t.Fatalf("%s\n%v\n%s%s", commands, failed, &out, &err)
	}
	return out.String()
}

// block is a fenced block of a page.
type block struct{ kind, text string }

func blocks(t *testing.T, page string) (all []block) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		all = append(all, block{m[1], m[2]})
	}
	return all
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
