package unixsocket

import (
	"bytes"
	"fmt"
	"os"
)

// Started is when a process was started, in clock ticks since the machine was,
// or "" for one that is not seen: it and the process id name no other process.
// See proc_pid_stat(5).
func Started(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The name in the second field may hold spaces and parentheses.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	const starttime = 22 - 3
	if len(fields) <= starttime {
		return ""
	}
	return string(fields[starttime])
}
