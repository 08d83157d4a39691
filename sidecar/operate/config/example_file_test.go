package config

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

const exampleFile = "../../../packaging/serveflow.toml"

// The shipped file says what the defaults are, and shows every key with a
// comment above it.
func TestExampleFile(t *testing.T) {
	got, err := Load(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	if want := Default(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}

	data, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	md, err := toml.Decode(string(data), &all)
	if err != nil {
		t.Fatal(err)
	}
	var c Config
	for key := range c.keys() {
		if !md.IsDefined(strings.Split(key, ".")...) {
			t.Errorf("%s does not show %s", exampleFile, key)
		}
	}
	lines := strings.Split(string(data), "\n")
	for i, line := range lines {
		if strings.Contains(line, " = ") && !strings.HasPrefix(line, "#") && (i == 0 || !strings.HasPrefix(lines[i-1], "#")) {
			t.Errorf("%s:%d: no comment above %q", exampleFile, i+1, line)
		}
	}
}
