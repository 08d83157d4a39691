// Package faults runs the sidecar as people do, as a process, and treats it badly:
// it is killed, told to stop while it works, has its log taken away, and is
// talked to by taps that break every rule.
package faults

import (
	"flag"
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

// soak is how long TestSoak works, with the time after which flows are forgotten
// as people have it; 0: for a short while, with a short one.
var soak = flag.Duration("soak", 0, "how long TestSoak works: for make soak")

// serveflow is the program, built for the tests.
var serveflow string

func TestMain(m *testing.M) {
	os.Exit(program.Main(m, root, &serveflow))
}
