package zeek

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// programs are made once, in a directory of all tests.
var programs struct {
	sync.Mutex
	dir  string
	made map[string]bool
}

func TestMain(m *testing.M) {
	code := m.Run()
	if programs.dir != "" {
		os.RemoveAll(programs.dir)
	}
	os.Exit(code)
}

// compile builds a file of zeek-scripts/testing/unit with the parts of the plugin that
// do not depend on Zeek, with sanitizers where g++ has them.
func compile(t *testing.T, name string) (program string) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: compiles with sanitizers")
	}
	compiler, err := exec.LookPath("g++")
	if err != nil {
		t.Skip("SKIPPED: no g++ here")
	}
	programs.Lock()
	defer programs.Unlock()
	if programs.dir == "" {
		if programs.dir, err = os.MkdirTemp("", "zeek-unit"); err != nil {
			t.Fatal(err)
		}
		programs.made = map[string]bool{}
	}
	program = filepath.Join(programs.dir, name)
	if programs.made[name] {
		return program
	}
	const src = "../../zeek-scripts/src"
	args := []string{"-std=c++20", "-Wall", "-Wextra", "-Werror", "-O1", "-g", "-I", src, "-o", program,
		filepath.Join("../../zeek-scripts/testing/unit", name+".cc")}
	for _, part := range []string{"Pack", "Unpack", "Link"} {
		args = append(args, filepath.Join(src, part+".cc"))
	}
	sanitized := append([]string{"-fsanitize=address,undefined", "-fno-sanitize-recover=all"}, args...)
	if exec.Command(compiler, sanitized...).Run() != nil {
		if out, err := exec.Command(compiler, args...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		t.Log("this g++ has no sanitizers")
	}
	programs.made[name] = true
	return program
}
