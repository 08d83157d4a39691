package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	sessionProcess = "lab-session"    // what a session's process is called
	work           = "/run/lab"       // its directory, in memory
	longest        = 45 * time.Second // a session takes
	captureFile    = 3                // descriptor
	resultFile     = 4
)

// lab is what a program of the catalogue is run with.
type lab struct {
	session
	rng    *rand.Rand
	client *host
	server *host
	log    *os.File
	dump   *process
	to     *wire // the server
	from   *wire
	name   string // of the server, where it has a certificate
}

// result is what a session's process reports.
type result struct {
	Late time.Duration // what 95 % of frames were later than due at most
}

// runSession is a session's process: the first one in its PID namespace, with
// files for its capture and its result open. It returns the exit code.
func runSession(spec string) int {
	var s session
	err := json.Unmarshal([]byte(spec), &s)
	if err == nil {
		err = s.run()
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%v\n", err)
	}
	if err != nil || s.Verbose {
		if log, readErr := os.ReadFile(work + "/log"); readErr == nil {
			os.Stderr.Write(log[max(0, len(log)-8000):])
		}
	}
	if err != nil {
		return 1
	}
	return 0
}

func (s *session) run() error {
	if err := closeOff(); err != nil {
		return err
	}
	log, err := os.Create(work + "/log")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	l := &lab{session: *s, rng: rand.New(rand.NewPCG(s.Seed, 0)), log: log}
	if l.client, err = newHostBehind(ctx, s.Gateway, s.Client, s.Path.MTU, log); err != nil {
		return err
	}
	if l.server, err = newHost(ctx, s.Server, s.Path.MTU, log); err != nil {
		return err
	}
	l.to = &wire{path: s.Path, rng: rand.New(rand.NewPCG(s.Seed, 1))}
	l.from = &wire{path: s.Path, rng: rand.New(rand.NewPCG(s.Seed, 2)), source: true}
	go l.to.carry(l.client.wire, l.server.wire)
	go l.from.carry(l.server.wire, l.client.wire)
	p := find(s.Label, s.Program)
	if p == nil {
		return fmt.Errorf("no program %s of label %s", s.Program, s.Label)
	}
	err = p.run(l)
	if ctx.Err() != nil {
		err = errors.Join(fmt.Errorf("took longer than %v", longest), err)
	}
	err = errors.Join(err, l.stopCapture())
	return errors.Join(err, json.NewEncoder(os.NewFile(resultFile, "result")).Encode(result{lateness(l.to, l.from)}))
}

// closeOff hides the machine from the session's programs: what they write is in
// memory, names are found in /etc/hosts alone.
func closeOff() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mounting: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mounting: %w", err)
	}
	for _, dir := range []string{"/run", "/tmp", "/var/tmp", "/var/log", "/root", "/dev/shm"} {
		if err := unix.Mount("lab", dir, "tmpfs", 0, "mode=1777"); err != nil {
			return fmt.Errorf("mounting %s: %w", dir, err)
		}
	}
	for _, dir := range []string{work, "/run/sshd", "/run/lock", "/tmp/.X11-unix", "/root/.ssh"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	os.Chmod("/root", 0o700)
	os.Chmod("/tmp/.X11-unix", 0o1777)
	for name, text := range map[string]string{
		"/etc/resolv.conf": "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
		"/etc/hosts":       "127.0.0.1 localhost\n",
	} {
		if err := replaceFile(name, text); err != nil {
			return err
		}
	}
	os.Clearenv()
	for _, v := range []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C", "TZ=UTC", "TERM=xterm", "USER=root",
		"GST_REGISTRY=/opt/serveflow-lab/gstreamer", "GST_REGISTRY_UPDATE=no"} {
		key, value, _ := strings.Cut(v, "=")
		os.Setenv(key, value)
	}
	return os.Chdir(work)
}

// replaceFile puts a text in the place of a file of the system, for the session.
func replaceFile(name, text string) error {
	if real, err := filepath.EvalSymlinks(name); err == nil {
		name = real
	}
	own := work + "/" + filepath.Base(name)
	if err := os.WriteFile(own, []byte(text), 0o644); err != nil {
		return err
	}
	if err := unix.Mount(own, name, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mounting %s: %w", name, err)
	}
	return nil
}

// names lets programs of the session find the server by names.
func (l *lab) names(names ...string) error {
	return replaceFile("/etc/hosts", fmt.Sprintf("127.0.0.1 localhost\n%s %s\n", l.Server.Address, strings.Join(names, " ")))
}

// capture begins to record what the filter (see pcap-filter(7)) lets through.
func (l *lab) capture(filter string, args ...any) error {
	at := l.client
	if l.AtServe {
		at = l.server
	}
	said, into, err := os.Pipe()
	if err != nil {
		return err
	}
	c := at.command("tcpdump", "-i", device, "-n", "-U", "--immediate-mode", "-s", "2048", "-B", "8192", "-Z", "root", "-w", "-",
		fmt.Sprintf("(ip or ip6) and ("+filter+") and not (icmp6 and ip6[40] >= 133)", args...)) // no neighbour discovery
	c.Stdout, c.Stderr = os.NewFile(captureFile, "capture"), into
	if l.dump, err = at.begin(c); err != nil {
		return err
	}
	into.Close()
	var text []byte
	buffer := make([]byte, 512)
	for !strings.Contains(string(text), "listening on") {
		n, err := said.Read(buffer)
		text = append(text, buffer[:n]...)
		if err != nil {
			return fmt.Errorf("tcpdump: %s", text)
		}
	}
	go io.Copy(l.log, said)
	time.Sleep(50 * time.Millisecond)
	return nil
}

// captureTCP records the connections to the session's port.
func (l *lab) captureTCP() error { return l.capture("tcp port %d", l.Port) }

// captureUDP does so for datagrams.
func (l *lab) captureUDP() error { return l.capture("udp port %d", l.Port) }

// knowsOnly says that the client knows no server port but the given one. The wire
// changes it to the session's, which is why only the server's end is recorded.
func (l *lab) knowsOnly(port int) {
	l.AtServe = true
	l.translate(port, l.Port)
}

// servesOnly says that the server is at the given port, since it takes no such
// port as the session's, and that the wire changes it: only the client's end is
// recorded.
func (l *lab) servesOnly(port int) {
	l.AtServe = false
	l.translate(l.Port, port)
}

// translate has the wire change the server's port at the client's end to that at
// the server's and back.
func (l *lab) translate(atClient, atServer int) {
	l.to.becomes.Store(uint32(atServer))
	l.to.was.Store(uint32(atClient))
	l.from.becomes.Store(uint32(atClient))
	l.from.was.Store(uint32(atServer))
}

func (l *lab) stopCapture() error {
	if l.dump == nil {
		return errors.New("nothing was recorded")
	}
	// What is under way.
	time.Sleep(4*l.Path.Delay + 300*time.Millisecond)
	l.dump.stop(syscall.SIGINT)
	return nil
}

// write makes a file in the session's directory and returns its path.
func (l *lab) write(name, text string, args ...any) string {
	path := work + "/" + name
	os.MkdirAll(filepath.Dir(path), 0o755)
	if len(args) > 0 {
		text = fmt.Sprintf(text, args...)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		panic(err)
	}
	return path
}

// data makes a file of random bytes.
func (l *lab) data(name string, bytes int) string {
	b := make([]byte, bytes)
	for i := range b {
		b[i] = byte(l.rng.Uint32())
	}
	path := l.write(name, string(b))
	os.Chmod(path, 0o644)
	return path
}

// between draws a number from low to high.
func (l *lab) between(low, high int) int { return low + l.rng.IntN(high-low+1) }

// size draws a number of bytes, as spread as sizes on networks are.
func (l *lab) size(low, high int) int {
	return int(float64(low) * math.Pow(float64(high)/float64(low), l.rng.Float64()))
}

// one draws one of some.
func one[T any](l *lab, of ...T) T { return of[l.rng.IntN(len(of))] }

// pause waits, in milliseconds.
func (l *lab) pause(low, high int) {
	time.Sleep(time.Duration(l.size(low, high)) * time.Millisecond)
}

// some does something a few times with pauses, until it fails.
func (l *lab) some(low, high int, f func(i int) error) error {
	for i := range l.between(low, high) {
		if i > 0 {
			l.pause(100, 1500)
		}
		if err := f(i); err != nil {
			return err
		}
	}
	return nil
}

// typing writes to a program as a person types: letters with human gaps, lines
// with longer ones.
func (l *lab) typing(w io.Writer, lines ...string) error {
	for _, line := range lines {
		for _, letter := range line {
			if _, err := w.Write([]byte(string(letter))); err != nil {
				return err
			}
			l.pause(30, 260)
		}
		if _, err := w.Write([]byte("\n")); err != nil {
			return err
		}
		l.pause(200, 1500)
	}
	return nil
}
