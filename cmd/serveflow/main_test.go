package main

import (
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"aead.dev/minisign"
	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"serveflow": main})
}

// TestCommands runs the scripts in testdata. Besides what testscript has, they
// know $TOY, a bundle; $CAPTURES, the folder of captures; and the commands
//
//	exits CODE serveflow ...   the program ends with that code
//	await PATH                 waits until the file is there, or somebody answers on the socket
func TestCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata",
		UpdateScripts: *update,
		Setup: func(e *testscript.Env) error {
			e.Setenv("GORACE", "atexit_sleep_ms=0") // each command is a process with the race detector in it
			for name, path := range map[string]string{"TOY": "../../test/bundle/toy", "CAPTURES": "../../test/captures"} {
				path, err := filepath.Abs(path)
				if err != nil {
					return err
				}
				e.Setenv(name, path)
			}
			return writeKeys(e)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "await": await},
	})
}

// keys are two pairs of minisign, as the tool of that name would make them: the site's,
// whose secret key has the password "correct horse", and another's. They are made once:
// a password costs a second and a gigabyte on purpose.
var keys = sync.OnceValues(func() (k struct {
	site, other string // public
	secret      []byte
}, err error) {
	public, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		return k, err
	}
	if k.secret, err = minisign.EncryptKey("correct horse", private); err != nil {
		return k, err
	}
	other, _, err := minisign.GenerateKey(rand.Reader)
	k.site, k.other = publicText(public), publicText(other)
	return k, err
})

// writeKeys gives a script of bundles the site's key in site.key, and a configuration that
// trusts it. $SITE and $OTHER are public keys.
func writeKeys(e *testscript.Env) error {
	k, err := keys()
	if err != nil {
		return err
	}
	e.Setenv("SITE", k.site)
	e.Setenv("OTHER", k.other)
	return errors.Join(
		os.WriteFile(filepath.Join(e.WorkDir, "site.key"), k.secret, 0o600),
		os.WriteFile(filepath.Join(e.WorkDir, "trusted.toml"), fmt.Appendf(nil, "trusted_keys = [%q]\n", k.site), 0o600))
}

// publicText is a key as it is written on a command line, without its comment.
func publicText(key minisign.PublicKey) string {
	lines := strings.Split(strings.TrimSpace(key.String()), "\n")
	return lines[len(lines)-1]
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE program args...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: await path")
	}
	path := ts.MkAbs(args[0])
	for until := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		err := there(path)
		if err == nil {
			return
		} else if time.Now().After(until) {
			ts.Fatalf("%v", err)
		}
	}
}

func there(path string) error {
	info, err := os.Stat(path)
	if err != nil || info.Mode().Type() != os.ModeSocket {
		return err
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		return err
	}
	return conn.Close()
}
