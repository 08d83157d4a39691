package main

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The unit keeps the sidecar down after the exits that trying again does not help,
// and after nothing else: a panic, and Go's answer to the watchdog's SIGABRT, end
// with 2.
func TestUnitKnowsTheExitCodes(t *testing.T) {
	unit, err := os.ReadFile("../../packaging/serveflow.service")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^RestartPreventExitStatus=(.*)$`).FindSubmatch(unit)
	if m == nil {
		t.Fatal("no RestartPreventExitStatus")
	}
	codes := strings.Fields(string(m[1]))
	if want := []string{strconv.Itoa(exitUsage), strconv.Itoa(exitConfig)}; !slices.Equal(codes, want) {
		t.Errorf("the unit has %v, the program %v", codes, want)
	}
	if slices.Contains(codes, "1") || slices.Contains(codes, "2") || strings.Contains(string(m[1]), "SIG") {
		t.Errorf("%v keeps the sidecar down after a failure or a panic", codes)
	}
	for _, line := range []string{
		"RuntimeDirectoryPreserve=yes", "Restart=on-failure", "StartLimitIntervalSec=0",
		"MemoryMax=75%", "TasksMax=512", "MemoryDenyWriteExecute=yes",
		"Before=suricata.service zeek.service zeek.target zeek-setup.service",
	} {
		if !slices.Contains(strings.Split(string(unit), "\n"), line) {
			t.Errorf("the unit has no %s", line)
		}
	}
}
