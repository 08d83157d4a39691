package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// suricataFile is Suricata's configuration where its command line names none.
const suricataFile = "/etc/suricata/suricata.yaml"

// dumpTimeout is how long Suricata may take to print its configuration.
const dumpTimeout = 30 * time.Second

// settings are Suricata's settings by their full name, as "suricata --dump-config" prints
// them: "run-as.user" to "suri".
type settings map[string]string

func parseSettings(dump string) settings {
	s := settings{}
	for line := range strings.Lines(dump) {
		if name, value, ok := strings.Cut(strings.TrimRight(line, "\n"), " = "); ok && value != "(null)" {
			s[name] = value
		}
	}
	return s
}

// values are those of all settings whose name has the form, in which * is any part.
func (s settings) values(form string) (all []string) {
	for name, value := range s {
		if ok, _ := filepath.Match(form, strings.ReplaceAll(name, ".", "/")); ok {
			all = append(all, value)
		}
	}
	slices.Sort(all)
	return all
}

// suricata looks at the configuration of each Suricata that runs, as it reads it itself.
func (e *examination) suricata(ctx context.Context) {
	files := map[string]string{} // to the program
	for _, p := range e.engines {
		if p.name != "suricata" {
			continue
		}
		program, file := "suricata", argument(p.arguments, "-c", suricataFile)
		process := filepath.Join(e.Proc, strconv.Itoa(p.pid))
		if path, err := os.Readlink(filepath.Join(process, "exe")); err == nil {
			program = path
		}
		if directory, err := os.Readlink(filepath.Join(process, "cwd")); err == nil && !filepath.IsAbs(file) {
			file = filepath.Join(directory, file)
		}
		files[file] = program
	}
	for file, program := range files {
		dump := e.Dump
		if dump == nil {
			dump = run
		}
		out, err := dump(ctx, program, "--dump-config", "-c", file)
		if errors.Is(err, errUntrusted) {
			e.note("suricata.yaml", fmt.Sprintf("%s was not asked how it reads %s: %v", program, file, err),
				"if it is your Suricata, have the program be called suricata, and it and its folders belong to root and be writable by nobody else")
			continue
		}
		if err != nil {
			e.note("suricata.yaml", fmt.Sprintf("%s cannot be read by %s: %v", file, program, err), program+" --dump-config -c "+file+" says why")
			continue
		}
		before := len(e.findings)
		e.suricataSettings(file, parseSettings(string(out)))
		if len(e.findings) == before {
			e.ok("suricata.yaml", "%s", file)
		}
	}
}

// run runs a program that is called suricata, of which nobody but root, and who runs the
// doctor, can have changed anything: any process may call itself Suricata, and have a
// configuration of its own.
func run(ctx context.Context, program string, args ...string) ([]byte, error) {
	path, err := exec.LookPath(program)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(filepath.Base(path), "suricata") {
		return nil, fmt.Errorf("%w: it is %s", errUntrusted, path)
	}
	if err := trusted(path); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dumpTimeout)
	defer cancel()
	return exec.CommandContext(ctx, path, args...).Output()
}

var errUntrusted = errors.New("it may be another program")

// trusted is an error if somebody else can change a file or a directory above it.
func trusted(path string) error {
	const othersWrite = 0o022
	for at := path; ; at = filepath.Dir(at) {
		info, err := os.Lstat(at)
		if err != nil {
			return err
		}
		owner, _ := owners(info)
		if owner != 0 && owner != uint32(os.Geteuid()) || info.Mode().Perm()&othersWrite != 0 {
			return fmt.Errorf("%w: others can change %s (%s)", errUntrusted, at, access(info))
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}

// argument is what follows a flag in a command line.
func argument(arguments []string, flag, otherwise string) string {
	for i, a := range arguments {
		if a == flag && i+1 < len(arguments) {
			return arguments[i+1]
		}
		if value, ok := strings.CutPrefix(a, flag); ok && value != "" {
			return strings.TrimPrefix(value, "=")
		}
	}
	return otherwise
}

func (e *examination) suricataSettings(file string, s settings) {
	plugin := slices.ContainsFunc(s.values("plugins/*"), func(p string) bool { return filepath.Base(p) == "serveflow.so" })
	script := slices.ContainsFunc(s.values("outputs/*/lua/scripts/*"), isOurs)
	rules := slices.ContainsFunc(s.values("rule-files/*"), isOurs)
	switch {
	case !plugin && !script && !rules:
		e.wrong("suricata.yaml", file+" loads no tap", "plugins:\n  - /usr/lib/serveflow/suricata/serveflow.so")
	case rules && !plugin && !script && s["security.lua.allow-rules"] != "true" && s["security.lua.allow-rules"] != "yes":
		e.wrong("suricata.yaml", file+" has the rule, and Lua is not permitted in rules", "security:\n  lua:\n    allow-rules: true")
	}
	if plugin {
		if socket := cmp.Or(s["serveflow.socket"], "/run/serveflow/serveflow.sock"); socket != e.Config.Listen.Socket {
			e.wrong("suricata.yaml", fmt.Sprintf("the plugin looks for %s, and the sidecar listens on %s", socket, e.Config.Listen.Socket),
				"serveflow:\n  socket: "+e.Config.Listen.Socket)
		}
		if sensor := cmp.Or(s["serveflow.sensor"], "suricata"); e.Config.EVE.Listen != "" && sensor != e.Config.EVE.Sensor {
			e.wrong("suricata.yaml", fmt.Sprintf("the plugin's sensor is %q, and eve.sensor is %q: no record will get a label", sensor, e.Config.EVE.Sensor),
				fmt.Sprintf("[eve]\nsensor = %q", sensor))
		}
	}
	e.eveLogs(file, s)
	e.runAs(s)
}

func isOurs(name string) bool {
	base := filepath.Base(name)
	return base == "serveflow.lua" || base == "serveflow.rules"
}

// eveLogs holds the eve-logs with a socket against the sidecar's.
func (e *examination) eveLogs(file string, s settings) {
	var sockets []string
	for name, value := range s {
		prefix, ok := strings.CutSuffix(name, ".eve-log.filetype")
		if ok && value == "unix_stream" && s[prefix+".eve-log.enabled"] != "no" {
			sockets = append(sockets, s[prefix+".eve-log.filename"])
		}
	}
	slices.Sort(sockets)
	want := e.Config.EVE.Listen
	switch {
	case want == "":
		for _, socket := range sockets {
			if strings.Contains(socket, "serveflow") {
				e.wrong("suricata.yaml", fmt.Sprintf("%s sends records to %s, where nobody listens", file, socket), fmt.Sprintf("[eve]\nlisten = %q", socket))
			}
		}
	case !slices.Contains(sockets, want):
		e.wrong("suricata.yaml", fmt.Sprintf("%s has no eve-log for %s", file, want), "add this to outputs:\n"+eveLog(want))
	}
}

// runAs looks whether the user that Suricata changes to may connect: with that one group
// and no other.
func (e *examination) runAs(s settings) {
	name := s["run-as.user"]
	if name == "" {
		return
	}
	u, err := user.Lookup(name)
	if err != nil {
		e.wrong("suricata.yaml", fmt.Sprintf("run-as: user %s: %v", name, err), "create the user, or name another one")
		return
	}
	id := identity{uid: number(u.Uid), gid: number(u.Gid)}
	if group := s["run-as.group"]; group != "" {
		g, err := user.LookupGroup(group)
		if err != nil {
			e.wrong("suricata.yaml", fmt.Sprintf("run-as: group %s: %v", group, err), "create the group, or name another one")
			return
		}
		id.gid = number(g.Gid)
	}
	if slices.ContainsFunc(e.findings, func(f Finding) bool { return f.Topic == "permission" }) {
		return // the process itself was looked at
	}
	e.permitted(fmt.Sprintf("Suricata's run-as (%v, and no other group)", id), "suricata", id)
}

func number(id string) uint32 {
	n, _ := strconv.ParseUint(id, 10, 32)
	return uint32(n)
}
