package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// descendants are the processes below one, with their start times, by which a
// process is distinguished from a later one with the same number.
func descendants(pid int) map[int]string {
	children, starts := map[int][]int{}, map[int]string{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		id, _ := strconv.Atoi(strings.Split(path, "/")[2])
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		parent, _ := strconv.Atoi(fields[1])
		children[parent] = append(children[parent], id)
		starts[id] = fields[19]
	}
	found := map[int]string{}
	var walk func(int)
	walk = func(id int) {
		for _, c := range children[id] {
			found[c] = starts[c]
			walk(c)
		}
	}
	walk(pid)
	return found
}

func alive(id int, start string) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", id))
	if err != nil {
		return false
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	return fields[19] == start && fields[0] != "Z"
}

// However the program ends, nothing of its sessions is left.
func TestNothingIsLeftWhenKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: records sessions in real time")
	}
	if os.Getuid() != 0 {
		t.Skip("network namespaces need root")
	}
	if err := checkTools(); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	binary := filepath.Join(dir, "lab")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, signal := range []os.Signal{os.Kill, os.Interrupt} {
		c := exec.Command(binary, "-output", filepath.Join(dir, signal.String()), "-sessions", "4", "-parallel", "4", "-labels", "ssh-interactive")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		var processes map[int]string
		for range 200 {
			// Four sessions with two hosts, a server and a tcpdump each.
			if processes = descendants(c.Process.Pid); len(processes) >= 12 {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		if len(processes) < 12 {
			t.Errorf("only %d processes of sessions", len(processes))
		}
		c.Process.Signal(signal)
		c.Wait()
		deadline := time.Now().Add(10 * time.Second)
		for id, start := range processes {
			for alive(id, start) {
				if time.Now().After(deadline) {
					t.Fatalf("%v: process %d is left", signal, id)
				}
				time.Sleep(20 * time.Millisecond)
			}
		}
	}
}
