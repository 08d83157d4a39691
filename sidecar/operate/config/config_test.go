package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var update = flag.Bool("update", false, "rewrite the expected messages in testdata")

// TestBad reads every testdata/NAME.bad.toml and compares what is said about
// it with NAME.want.
func TestBad(t *testing.T) {
	files, err := filepath.Glob("testdata/*.bad.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".bad.toml")
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c, err := Parse(data, "f.toml")
			if err == nil {
				t.Fatal("accepted")
			}
			if !reflect.DeepEqual(c, Config{}) {
				t.Error("an error comes with a configuration")
			}
			golden := filepath.Join("testdata", name+".want")
			got := err.Error() + "\n"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%swant:\n%s", got, want)
			}
		})
	}
}

func TestEmptyIsDefault(t *testing.T) {
	c, err := Parse(nil, "empty")
	if err != nil {
		t.Fatal(err)
	}
	if d := Default(); !reflect.DeepEqual(c, d) {
		t.Errorf("an empty file gives %+v, want the defaults %+v", c, d)
	}
	if err := c.Validate(); err != nil {
		t.Errorf("the defaults do not run: %v", err)
	}
}

func TestParse(t *testing.T) {
	const file = `
bundle = "/etc/serveflow/office"
listen = { socket = "run/s.sock", mode = "600", allow_uids = [0, 104], idle_timeout = "90s" }
flow.shards = 2
[labels]
max_size = 1000000
keep = 0
[telemetry]
listen = "192.0.2.1:9477"
allow_remote = true
[onnx]
batch = 1
queue = 1
`
	want := Default()
	want.Bundle = "/etc/serveflow/office"
	want.Listen.Socket = "run/s.sock"
	want.Listen.Mode = 0o600
	want.Listen.AllowUIDs = []uint32{0, 104}
	want.Listen.IdleTimeout = 90 * time.Second
	want.Flow.Shards = 2
	want.Labels.MaxSize = 1_000_000
	want.Labels.Keep = 0
	want.Telemetry = Telemetry{Listen: "192.0.2.1:9477", AllowRemote: true}
	want.ONNX.Batch, want.ONNX.Queue = 1, 1

	got, err := Parse([]byte(file), "test")
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestTelemetryListen(t *testing.T) {
	for listen, ok := range map[string]bool{
		"":                        true,
		"127.0.0.1:0":             true,
		"127.8.8.8:9477":          true,
		"[::1]:9477":              true,
		"[::ffff:127.0.0.1]:9477": true,
		"localhost:9477":          true,
		"localhost.example:9477":  false,
		"[::]:9477":               false,
		"10.0.0.1:9477":           false,
		"127.0.0.1:65536":         false,
		"127.0.0.1:http":          false,
		"::1:9477":                false,
	} {
		c := Default()
		c.Telemetry.Listen = listen
		if err := c.Validate(); (err == nil) != ok {
			t.Errorf("%q: error %v, want one: %v", listen, err, !ok)
		}
	}
}

func TestParseSize(t *testing.T) {
	for s, want := range map[string]int64{
		"0": 0, "17": 17, "17B": 17, "1kB": 1000, "1KiB": 1024, "256MiB": 256 << 20,
		"1 GB": 1e9, "3gib": 3 << 30, "1TiB": 1 << 40, "9223372036854775807": 1<<63 - 1,
	} {
		if got, ok := parseSize(s); !ok || got != want {
			t.Errorf("parseSize(%q) = %d, %v, want %d", s, got, ok, want)
		}
	}
	for _, s := range []string{"", "MiB", "-1", "1.5GiB", "1Mi", "1  MB", "1PB", "0x10", "9223372036854775808", "9007199254740992KiB"} {
		if got, ok := parseSize(s); ok {
			t.Errorf("parseSize(%q) = %d, want a refusal", s, got)
		}
	}
}

// A value that the command line sets is checked like one from a file.
func TestValidateAfterChange(t *testing.T) {
	c := Default()
	c.Listen.Socket = ""
	c.Flow.Shards = -1
	var key *KeyError
	err := c.Validate()
	if !errors.As(err, &key) || key.Key != "listen.socket" || key.Line != 0 {
		t.Errorf("Validate() = %v", err)
	}
	if !strings.Contains(err.Error(), "flow.shards = -1: want 0 to 256") {
		t.Errorf("only one mistake is reported: %v", err)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "serveflow.toml")
	if _, err := Load(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file gives %v", err)
	}
	if err := os.WriteFile(path, []byte("[flow]\nshards = 999\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.HasPrefix(err.Error(), path+": flow.shards = 999, line 2:") {
		t.Errorf("the message does not name the file: %v", err)
	}
	if err := os.WriteFile(path, make([]byte, maxFile+1), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("a file that is too large gives %v", err)
	}
}

func TestEdits(t *testing.T) {
	for _, c := range []struct {
		a, b string
		n    int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0}, {"abc", "acb", 1},
		{"sokcet", "socket", 1}, {"kitten", "sitting", 3}, {"max_flow", "max_flows", 1},
	} {
		if got := edits(c.a, c.b); got != c.n {
			t.Errorf("edits(%q, %q) = %d, want %d", c.a, c.b, got, c.n)
		}
	}
}

// A configuration is a file that a reload can read again: nothing is waited for.
func TestLoadReadsFilesAlone(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "serveflow.toml")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, t.TempDir(), "/dev/zero"} {
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// Keys that the parser would take minutes and gigabytes for are refused at once.
func TestDeepKeys(t *testing.T) {
	begin := time.Now()
	_, err := Parse([]byte(strings.Repeat("a.", 20_000)+"a = 1"), "x")
	if err == nil || !strings.Contains(err.Error(), "x: line 1: nested more than") || time.Since(begin) > time.Second {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
}
