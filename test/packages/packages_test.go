// Package packages tests what "make packages" makes, as an operator would use it. It
// wants their directory in SERVEFLOW_PACKAGES, root, rpm, and Debian's mmdebstrap and
// systemd-container.
package packages

import (
	"bytes"
	"debug/elf"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

func need(t *testing.T, tools ...string) {
	t.Helper()
	if os.Getenv("SERVEFLOW_PACKAGES") == "" {
		t.Skip("SERVEFLOW_PACKAGES is not set")
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", cmd, err, out, &stderr)
	}
	return string(out)
}

// packages returns the paths of those that the pattern fits.
func packages(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(os.Getenv("SERVEFLOW_PACKAGES"), pattern))
	if err != nil || len(found) == 0 {
		t.Fatalf("no %s: %v", pattern, err)
	}
	return found
}

// TestReproducible makes the packages of the same sources in another directory.
func TestReproducible(t *testing.T) {
	need(t, "git")
	first := packages(t, "*")
	copied := filepath.Join(t.TempDir(), "elsewhere")
	output(t, "bash", "-o", "pipefail", "-c", `mkdir "$1" && tar -C "$0" --exclude=./build --exclude=./bin --exclude=./.venv -cf - . | tar -C "$1" -xf -`, root, copied)
	again := t.TempDir()
	output(t, filepath.Join(copied, "packaging/packages.sh"), again)
	for _, path := range first {
		a, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(again, filepath.Base(path)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("%s: two builds of the same sources differ", filepath.Base(path))
		}
	}
}

var machines = map[string]elf.Machine{"amd64.deb": elf.EM_X86_64, "arm64.deb": elf.EM_AARCH64, "x86_64.rpm": elf.EM_X86_64, "aarch64.rpm": elf.EM_AARCH64}

// unpack returns the directory of what a package holds.
func unpack(t *testing.T, path string) string {
	t.Helper()
	dir := t.TempDir()
	if strings.HasSuffix(path, ".deb") {
		output(t, "dpkg-deb", "--extract", path, dir)
	} else {
		// Unpacked and checked as it is where rpm is at home, but for scripts.
		output(t, "rpm", "--force-debian", "--root", dir, "--install", "--nodeps", "--noscripts", "--ignorearch", "--nosignature", path)
		for _, database := range []string{"root", "var"} {
			if err := os.RemoveAll(filepath.Join(dir, database)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// TestContents holds the packages of both kinds against each other, and looks for what
// they must have.
func TestContents(t *testing.T) {
	need(t, "dpkg-deb", "rpm")
	if os.Getuid() != 0 {
		t.Skip("not root")
	}
	for _, deb := range packages(t, "*.deb") {
		_, arch, _ := strings.Cut(filepath.Base(deb), "_")
		arch = strings.TrimSuffix(arch[strings.LastIndex(arch, "_")+1:], ".deb")
		rpm := packages(t, "*."+map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[arch]+".rpm")[0]
		output(t, "rpm", "--checksig", "--nosignature", rpm)
		if config := output(t, "rpm", "--query", "--package", "--configfiles", rpm); config != "/etc/serveflow/serveflow.toml\n" {
			t.Errorf("configuration of %s: %q", rpm, config)
		}
		if config := output(t, "dpkg-deb", "--info", deb, "conffiles"); config != "/etc/serveflow/serveflow.toml\n" {
			t.Errorf("configuration of %s: %q", deb, config)
		}
		debVersion := strings.TrimSpace(output(t, "dpkg-deb", "--field", deb, "Version"))
		rpmVersion := output(t, "rpm", "--query", "--package", "--queryformat", "%{VERSION}", rpm)
		if debVersion != rpmVersion {
			t.Errorf("versions %q and %q", debVersion, rpmVersion)
		}

		inDeb, inRPM := unpack(t, deb), unpack(t, rpm)
		same(t, inDeb, inRPM)
		for _, file := range []string{
			"etc/serveflow/serveflow.toml", "usr/lib/systemd/system/serveflow.service", "usr/lib/sysusers.d/serveflow.conf",
			"usr/lib/tmpfiles.d/serveflow.conf", "usr/share/man/man1/serveflow.1.gz", "usr/share/bash-completion/completions/serveflow",
			"usr/share/serveflow/suricata/serveflow.lua", "usr/share/serveflow/suricata/serveflow/tap.lua", "usr/share/doc/serveflow/copyright",
		} {
			if info, err := os.Stat(filepath.Join(inDeb, file)); err != nil || info.Size() == 0 {
				t.Errorf("%s: no %s", deb, file)
			}
		}
		checkLinks(t, filepath.Join(inDeb, "usr/share/doc/serveflow"))
		checkPages(t, inDeb)
		program, err := elf.Open(filepath.Join(inDeb, "usr/bin/serveflow"))
		if err != nil {
			t.Fatal(err)
		}
		if program.Machine != machines[arch+".deb"] {
			t.Errorf("%s holds a program for %v", deb, program.Machine)
		}
		if libraries, _ := program.ImportedLibraries(); len(libraries) > 0 {
			t.Errorf("%s holds a program that wants %v", deb, libraries)
		}
		program.Close()
	}
}

var page = regexp.MustCompile(`\S*\bdocs/[a-z0-9/-]+\.md`)

// checkPages checks that pages that files of the package name are there.
func checkPages(t *testing.T, root string) {
	t.Helper()
	named := 0
	for _, of := range []string{"etc", "usr/share/serveflow"} {
		err := filepath.WalkDir(filepath.Join(root, of), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			text, err := os.ReadFile(path)
			for _, name := range page.FindAllString(string(text), -1) {
				named++
				if _, err := os.Stat(filepath.Join(root, strings.TrimLeft(name, "("))); err != nil {
					t.Errorf("%s names %s: %v", path, name, err)
				}
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	if named == 0 {
		t.Error("no file names a page")
	}
}

var link = regexp.MustCompile(`\]\(([^)#: ]+\.(?:md|svg))(?:#[^)]*)?\)`)

// checkLinks checks that the pages that a page of the package refers to are in it.
func checkLinks(t *testing.T, dir string) {
	t.Helper()
	// For who changes the sources; the changelog has another name by Debian's rules.
	elsewhere := []string{"CONTRIBUTING.md", "CHANGELOG.md"}
	found := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".md") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, match := range link.FindAllSubmatch(text, -1) {
			target := string(match[1])
			if slices.Contains(elsewhere, filepath.Base(target)) {
				continue
			}
			found++
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), target)); err != nil {
				t.Errorf("%s refers to %s, which is not in the package", strings.TrimPrefix(path, dir), target)
			}
		}
		return nil
	})
	if err != nil || found < 50 {
		t.Errorf("%d links between pages, %v", found, err)
	}
}

// same checks that two packages hold the same files; each has its own place for zsh.
func same(t *testing.T, a, b string) {
	t.Helper()
	list := func(dir string) string {
		var all strings.Builder
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			name := strings.Replace(strings.TrimPrefix(path, dir), "vendor-completions", "site-functions", 1)
			all.WriteString(info.Mode().String() + " " + name + " " + output(t, "sha256sum", "--tag", path)[len("SHA256 (")+len(path):])
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return all.String()
	}
	if x, y := list(a), list(b); x != y {
		t.Errorf("the deb has\n%s\nthe rpm has\n%s", x, y)
	}
}

// older is the package with an older version and another configuration, which a later
// one is installed over.
func older(t *testing.T, deb string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "old")
	output(t, "dpkg-deb", "--raw-extract", deb, dir)
	edit := func(file, from, to string) {
		path := filepath.Join(dir, file)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		changed := regexp.MustCompile(from).ReplaceAll(text, []byte(to))
		if bytes.Equal(changed, text) {
			t.Fatalf("%s has no %s", file, from)
		}
		if err := os.WriteFile(path, changed, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	edit("DEBIAN/control", `(?m)^Version: .*$`, "Version: 0.0~1")
	edit("etc/serveflow/serveflow.toml", `(?m)^max_connections = 1024$`, "max_connections = 512")
	if err := os.Remove(filepath.Join(dir, "DEBIAN/md5sums")); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "old.deb")
	output(t, "dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", dir, path)
	return path
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	output(t, "cp", from, to)
}
