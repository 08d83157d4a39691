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
	root     = "../.."
	toy      = root + "/test/bundle/toy"
	captures = root + "/test/captures"
)

// full asks for every fault as often and as long as "make faults" does.
var full = flag.Bool("full", false, "kill a hundred times, not four, and so on: for make faults")

// serveflow is the program, built for the tests.
var serveflow string

func TestMain(m *testing.M) {
	os.Exit(program.Main(m, root, &serveflow))
}
