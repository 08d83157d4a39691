// Package faults runs the sidecar as a process and injects faults: it is killed and
// stopped under load, its log disappears, and taps break every rule of the protocol.
package faults

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"serveflow/test/program"
)

const (
	root       = "../.."
	toy        = root + "/test/bundle/toy"
	captureDir = root + "/test/captures"
)

// full asks for every fault as often and as long as "make faults" does.
var full = flag.Bool("full", false, "kill a hundred times, not four, and so on: for make faults")

// soak is the duration of TestSoak, with the default flow.retention; 0: a short run, with
// a short one.
var soak = flag.Duration("soak", 0, "duration of TestSoak: for make soak")

// serveflow is the program, built for the tests.
var serveflow string

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		fmt.Println("-short: SKIPPED: faults of the whole program, which take minutes")
		os.Exit(0)
	}
	os.Exit(program.Main(m, root, &serveflow))
}
