package unixsocket

import (
	"bytes"
	"fmt"
	"os"
)

// Started is the start time of a process in clock ticks since boot, or "" if it
// cannot be seen. Together with the process id it identifies the process. See
// proc_pid_stat(5).
func Started(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The name in the second field may contain spaces and parentheses.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	const starttime = 22 - 3
	if len(fields) <= starttime {
		return ""
	}
	return string(fields[starttime])
}
