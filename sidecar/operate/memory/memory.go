// Package memory says how much memory a process may use, and lets its parts share it.
//
//	limit := memory.Machine()
//	budget := memory.NewBudget(limit.Bytes / 8)
//	if budget.Take(n) { …; budget.Give(n) }
package memory

import (
	"bytes"
	"io/fs"
	"math"
	"os"
	"path"
	"strconv"
	"strings"
)

// Limit is how much memory a process may use.
type Limit struct {
	Bytes int64  // 0: not known
	From  string // what sets it, as text
}

// Machine is how much memory the process may use: 80 % of the smallest limit of its
// control groups (version 1 or 2), because those count what no allocator does, and
// at most half of the machine's memory, which it shares with other programs.
func Machine() Limit { return machine(os.DirFS("/")) }

func machine(root fs.FS) (l Limit) {
	l = Limit{memTotal(root) / 2, "half of the machine's memory"}
	if group := cgroup(root); group > 0 {
		if most := group / 5 * 4; l.Bytes == 0 || most < l.Bytes {
			l = Limit{most, "80 % of the control group's memory"}
		}
	}
	if l.Bytes == 0 {
		l.From = "unknown"
	}
	return l
}

// memTotal is the machine's memory in bytes, 0 if it is not known.
func memTotal(root fs.FS) int64 {
	text, _ := fs.ReadFile(root, "proc/meminfo")
	for line := range bytes.Lines(text) {
		if fields := strings.Fields(string(line)); len(fields) >= 2 && fields[0] == "MemTotal:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil || kib < 0 || kib > math.MaxInt64>>10 {
				return 0
			}
			return kib << 10
		}
	}
	return 0
}

// cgroup is the smallest limit of the process's control groups, from its own up to
// the root, 0 if there is none.
func cgroup(root fs.FS) (least int64) {
	text, _ := fs.ReadFile(root, "proc/self/cgroup")
	for line := range bytes.Lines(text) {
		// hierarchy:controllers:path, see cgroups(7)
		fields := strings.SplitN(strings.TrimSpace(string(line)), ":", 3)
		if len(fields) != 3 {
			continue
		}
		mount, files := "", []string(nil)
		switch {
		case fields[0] == "0" && fields[1] == "":
			mount, files = "sys/fs/cgroup", []string{"memory.max", "memory.high"}
		case hasWord(fields[1], "memory"):
			mount, files = "sys/fs/cgroup/memory", []string{"memory.limit_in_bytes"}
		default:
			continue
		}
		// In a container the path may be that of the host, and the mount begins at the
		// container's own: then only the mount itself is there.
		for at := path.Clean("/" + fields[2]); ; at = path.Dir(at) {
			for _, name := range files {
				if n := readLimit(root, path.Join(mount, at, name)); n > 0 && (least == 0 || n < least) {
					least = n
				}
			}
			if at == "/" {
				break
			}
		}
	}
	return least
}

func hasWord(list, word string) bool {
	for one := range strings.SplitSeq(list, ",") {
		if one == word {
			return true
		}
	}
	return false
}

// unlimited is the smallest value that means no limit in version 1.
const unlimited = 1 << 60

// readLimit reads a limit, 0 if there is none.
func readLimit(root fs.FS, name string) int64 {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64) // or "max"
	if err != nil || n <= 0 || n >= unlimited {
		return 0
	}
	return n
}
