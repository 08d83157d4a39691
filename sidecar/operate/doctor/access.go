package doctor

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// identity is whom the kernel takes somebody for.
type identity struct {
	uid, gid uint32
	groups   []uint32 // supplementary
}

// process is a running IDS.
type process struct {
	identity
	pid       int
	name      string // "suricata" or "zeek"
	arguments []string
}

// names are what the kernel calls the processes of an IDS.
var names = map[string]string{"Suricata-Main": "suricata", "suricata": "suricata", "zeek": "zeek"}

// processes returns the IDSs that run.
func processes(proc string) (all []process) {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return nil
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		dir := filepath.Join(proc, entry.Name())
		comm, err := os.ReadFile(filepath.Join(dir, "comm"))
		name, known := names[strings.TrimSpace(string(comm))]
		if err != nil || !known {
			continue
		}
		status, err := os.ReadFile(filepath.Join(dir, "status"))
		if err != nil {
			continue // it has ended
		}
		p := process{pid: pid, name: name, identity: parseIdentity(string(status))}
		if line, err := os.ReadFile(filepath.Join(dir, "cmdline")); err == nil {
			p.arguments = strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
		}
		all = append(all, p)
	}
	return all
}

// parseIdentity reads the effective ids of /proc/PID/status.
func parseIdentity(status string) (id identity) {
	for line := range strings.Lines(status) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		numbers := make([]uint32, 0, len(fields))
		for _, f := range fields[1:] {
			if n, err := strconv.ParseUint(f, 10, 32); err == nil {
				numbers = append(numbers, uint32(n))
			}
		}
		switch {
		case fields[0] == "Uid:" && len(numbers) > 1:
			id.uid = numbers[1]
		case fields[0] == "Gid:" && len(numbers) > 1:
			id.gid = numbers[1]
		case fields[0] == "Groups:":
			id.groups = numbers
		}
	}
	return id
}

func (id identity) String() string {
	return fmt.Sprintf("user %s, group %s", userName(id.uid), groupName(id.gid))
}

func userName(uid uint32) string {
	if u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10)); err == nil {
		return u.Username
	}
	return strconv.FormatUint(uint64(uid), 10)
}

func groupName(gid uint32) string {
	if g, err := user.LookupGroupId(strconv.FormatUint(uint64(gid), 10)); err == nil {
		return g.Name
	}
	return strconv.FormatUint(uint64(gid), 10)
}

// access shows who may use a file: mode, owner and group.
func access(info fs.FileInfo) string {
	owner, group := owners(info)
	return fmt.Sprintf("mode %04o, %s:%s", info.Mode().Perm(), userName(owner), groupName(group))
}

func owners(info fs.FileInfo) (uid, gid uint32) {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Uid, s.Gid
	}
	return 0, 0
}

// may says whether somebody has a permission, of the bits 7, on a file. Access control
// lists are not looked at.
func (id identity) may(info fs.FileInfo, want fs.FileMode) bool {
	if id.uid == 0 {
		return true
	}
	owner, group := owners(info)
	mode := info.Mode().Perm()
	switch {
	case id.uid == owner:
		return mode>>6&want == want
	case id.gid == group || slices.Contains(id.groups, group):
		return mode>>3&want == want
	}
	return mode&want == want
}

// obstacle returns what keeps somebody from a socket: a directory or the socket itself;
// "" if nothing does.
func (id identity) obstacle(path string) (at string, info fs.FileInfo) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", nil
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil && !id.may(info, 1) {
			at, info := dir, info
			return at, info
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	if info, err := os.Stat(path); err == nil && !id.may(info, 2) {
		return path, info
	}
	return "", nil
}

// reach looks whether the IDSs that run may connect.
func (e *examination) reach() {
	connected := map[int]bool{}
	for _, t := range e.status.Taps {
		connected[t.PID] = true
	}
	for _, p := range e.engines {
		if connected[p.pid] {
			continue // it has
		}
		if !e.permitted(fmt.Sprintf("%s (process %d, %v)", p.name, p.pid, p.identity), p.name, p.identity) && e.answers && len(e.status.Taps) > 0 {
			e.wrong("tap", fmt.Sprintf("%s, process %d, is not connected though others are", p.name, p.pid), e.connectHint())
		}
	}
}

// permitted says so if somebody may not connect to the sockets.
func (e *examination) permitted(who, engine string, id identity) (said bool) {
	sockets := map[string]string{e.Config.Listen.Socket: "listen"}
	if e.Config.EVE.Listen != "" && engine == "suricata" {
		sockets[e.Config.EVE.Listen] = "eve"
	}
	for _, path := range []string{e.Config.Listen.Socket, e.Config.EVE.Listen} {
		table, ok := sockets[path]
		if !ok {
			continue
		}
		at, info := id.obstacle(path)
		switch {
		case at == "":
		case at == path:
			said = true
			e.wrong("permission", fmt.Sprintf("%s may not connect to %s: %s", who, path, access(info)), e.grant(table, id, info))
		default:
			said = true
			e.wrong("permission", fmt.Sprintf("%s may not enter %s: %s", who, at, access(info)),
				"systemctl edit serveflow, and restart it\n[Service]\nRuntimeDirectoryMode=0755")
		}
	}
	if l := e.Config.Listen.AllowUIDs; len(l) > 0 && !slices.Contains(l, id.uid) {
		said = true
		e.wrong("permission", fmt.Sprintf("%s is not among listen.allow_uids", who), fmt.Sprintf("add %d to listen.allow_uids", id.uid))
	}
	return said
}

// grant says how the socket's group becomes one that somebody is in.
func (e *examination) grant(table string, id identity, info fs.FileInfo) string {
	_, socketGroup := owners(info)
	do := fmt.Sprintf("[%s]\ngroup = %q\nand usermod -aG %[2]s serveflow, systemctl restart serveflow", table, groupName(id.gid))
	if member(userName(id.uid), socketGroup) {
		do = fmt.Sprintf("%s is in the group %s, and the process is not: restart it, if it was put there later; Suricata's run-as drops such groups, then\n",
			userName(id.uid), groupName(socketGroup)) + do
	}
	return do
}

// member says whether a user is in a group by the system's list.
func member(name string, gid uint32) bool {
	u, err := user.Lookup(name)
	if err != nil {
		return false
	}
	groups, err := u.GroupIds()
	return err == nil && slices.Contains(groups, strconv.FormatUint(uint64(gid), 10))
}
