package zeek

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"serveflow/test/engine"
)

const pluginScript = "packaging/zeek-plugin.sh"

// TestZeekPlugin makes the archive of the plugin as "make zeek-plugin" does, twice and
// in two directories, and uses it as the installation page says: unpacked into a
// directory of plugins, with nothing else of the repository on any path.
func TestZeekPlugin(t *testing.T) {
	need(t)
	root := engine.Root(t)
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	date, err := exec.Command("git", "-C", root, "log", "-1", "--format=%ct").Output()
	if err != nil {
		t.Fatal(err)
	}
	must(t, exec.Command("bash", "-c", `mkdir "$1" && cp -r "$0"/{packaging,VERSION,LICENSE} "$1" && mkdir "$1/zeek-scripts" &&
		cp -r "$0"/zeek-scripts/{CMakeLists.txt,README.md,scripts,serveflow,src} "$1/zeek-scripts"`, root, elsewhere))
	archives := [2][]byte{}
	var first string
	for i, dir := range []string{root, elsewhere} {
		output := t.TempDir()
		make := exec.Command(filepath.Join(dir, pluginScript), "", output)
		make.Env = append(os.Environ(), "SOURCE_DATE_EPOCH="+strings.TrimSpace(string(date)))
		path := strings.TrimSpace(must(t, make))
		if archives[i], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = path
		}
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("two archives of the same sources differ")
	}
	version, err := os.ReadFile(filepath.Join(root, "VERSION"))
	if err != nil {
		t.Fatal(err)
	}
	engineVersion := strings.TrimSpace(must(t, exec.Command("zeek-config", "--version")))
	machine := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	if want := "serveflow-zeek_" + strings.TrimSpace(string(version)) + "_zeek-" + engineVersion + "_" + machine + ".tar.gz"; filepath.Base(first) != want {
		t.Errorf("the archive is %s, want %s", filepath.Base(first), want)
	}

	plugins := t.TempDir()
	must(t, exec.Command("tar", "-C", plugins, "-xzf", first))
	zeek := func(args ...string) *exec.Cmd {
		cmd := exec.Command("zeek", args...)
		cmd.Dir = t.TempDir()
		cmd.Env = append(os.Environ(), "ZEEK_PLUGIN_PATH="+plugins)
		return cmd
	}
	if text := must(t, zeek("-N", "ServeFlow::Tap")); !strings.Contains(text, "(dynamic, version "+strings.TrimSpace(string(version))+")") {
		t.Errorf("zeek -N says %q", text)
	}
	sidecar := engine.Start(t, filepath.Join(root, "test/bundle/toy"), "")
	run := zeek("-C", "-r", filepath.Join(root, "test/captures/dns.pcap"), "serveflow", "serveflow/notice",
		"ServeFlow::socket="+sidecar.Socket, "LogAscii::use_json=T")
	said := must(t, run)
	rows := readLogs(t, run.Dir, said).flows(t)
	if len(rows) == 0 {
		t.Fatalf("no rows: %s", said)
	}
	for _, r := range rows {
		if r.Label == "" {
			t.Errorf("%s has no label: %s", r.UID, said)
		}
	}
}

// TestPluginScript holds what the script says where there is no Zeek that fits.
func TestPluginScript(t *testing.T) {
	script := filepath.Join(engine.Root(t), pluginScript)
	prefix := func(version string) string {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "bin/zeek-config"), []byte("#!/bin/sh\necho '"+version+"'\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	for _, c := range []struct{ prefix, want string }{
		{"/nonexistent", "/nonexistent is no prefix of a Zeek"},
		{prefix("7.2.1"), "this is Zeek 7.2.1, and the plugin needs 8.0 or newer"},
		{prefix(""), "says that Zeek's version is ''"},
	} {
		out, err := exec.Command(script, c.prefix, t.TempDir()).CombinedOutput()
		if err == nil || !strings.Contains(string(out), c.want) {
			t.Errorf("%v, %q, want %q", err, out, c.want)
		}
	}
}

// must runs a command and returns what it prints.
func must(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", cmd, err, out, &stderr)
	}
	return string(out)
}
