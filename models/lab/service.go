package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// service is how a program serves what its clients ask for. In files, scripts and
// the filter, $AT is the server's address, $TO the same as URLs write it, $NAME
// its name in certificates, $HERE the client's address, $PORT the session's port
// and $WORK the session's directory; in scripts, $RANDOM is drawn from the seed.
type service struct {
	over     string            // "tcp" or "udp", on which it is waited for; "" for not at all
	port     int               // the only one that it serves, 0 if it serves the session's; see servesOnly
	tls      bool              // needs a certificate
	pages    bool              // needs a site of random pages below www
	inner    int               // the port of a web server that what is inside leads to, 0 for none
	ipv6     bool              // one session in four is of IPv6
	knows    int               // the only port that its clients know, 0 if they know any; see knowsOnly
	files    map[string]string // texts by their name below the session's directory
	prepare  string            // script that is run to its end first, on the server
	run      []string          // scripts that run on the server until the session's end
	filter   string            // of the capture; "" for the session's port and protocol
	low, top int               // how often it is used, 0 for two to four times
}

// use is what a client does with the server once.
type use func(*lab) error

// with has clients use a service.
func (s service) with(client use) func(*lab) error {
	return func(l *lab) error {
		if err := s.start(l); err != nil {
			return err
		}
		if s.knows > 0 {
			l.knowsOnly(s.knows)
		}
		if s.port > 0 && s.over != "" {
			l.servesOnly(s.port)
		}
		filter := s.filter
		if filter == "" {
			filter = s.over + " port $PORT"
		}
		if err := l.capture("%s", l.expand(filter)); err != nil {
			return err
		}
		if s.low == 0 {
			s.low, s.top = 2, 4
		}
		return l.some(s.low, s.top, func(int) error { return client(l) })
	}
}

func (s service) start(l *lab) error {
	if s.ipv6 && l.Seed%4 == 0 {
		if err := l.speakIPv6(); err != nil {
			return err
		}
	}
	if s.tls {
		id, err := l.identity()
		if err != nil {
			return err
		}
		l.name = id.name
	}
	if s.pages {
		os.MkdirAll("www", 0o755)
		os.Chmod("www", 0o755)
		l.site()
	}
	if s.inner > 0 {
		if err := l.inner(s.inner); err != nil {
			return err
		}
	}
	for name, text := range s.files {
		os.Chmod(l.write(name, l.expand(text)), 0o644)
	}
	if s.prepare != "" {
		if err := l.server.finish(l.script(l.server, s.prepare)); err != nil {
			return err
		}
	}
	for _, text := range s.run {
		if _, err := l.server.begin(l.script(l.server, text)); err != nil {
			return err
		}
	}
	switch {
	case s.over == "":
		return nil
	case s.port > 0:
		return l.server.listens(s.over, s.port)
	}
	return l.server.listens(s.over, l.Port)
}

func (l *lab) variables() map[string]string {
	to := l.Server.Address
	if strings.Contains(to, ":") {
		to = "[" + to + "]"
	}
	name := l.name
	if name == "" {
		name = to
	}
	return map[string]string{"AT": l.Server.Address, "TO": to, "HERE": l.Client.Address, "NAME": name, "PORT": fmt.Sprint(l.Port), "WORK": work}
}

// expand replaces the variables of a service; others stay.
func (l *lab) expand(text string) string {
	known := l.variables()
	return os.Expand(text, func(name string) string {
		if value, ok := known[name]; ok {
			return value
		}
		return "$" + name
	})
}

// script returns a script of bash on a host.
func (l *lab) script(h *host, text string) *exec.Cmd {
	c := h.command("bash", "-c", fmt.Sprintf("RANDOM=%d\n%s", l.rng.IntN(32768), text))
	c.Env = os.Environ()
	for name, value := range l.variables() {
		c.Env = append(c.Env, name+"="+value)
	}
	return c
}

// sh is a client that is one of some scripts, which may fail: so do the clients
// of real networks, and a datagram may be lost. longest is how long it is let run.
func sh(scripts ...string) use {
	return func(l *lab) error {
		p, err := l.client.begin(l.script(l.client, one(l, scripts...)))
		if err != nil {
			return err
		}
		select {
		case <-p.done:
		case <-time.After(9 * time.Second):
			p.stop(syscall.SIGTERM)
		}
		if p.err != nil {
			fmt.Fprintln(l.log, p.err)
		}
		return nil
	}
}

// through starts a script on the client, which leads from its port 7000 to the
// server's port 7001, and fetches pages through it, by a proxy's scheme if one is given.
func through(scheme, text string) use {
	return func(l *lab) error {
		p, err := l.client.begin(l.script(l.client, text))
		if err != nil {
			return err
		}
		defer p.stop(syscall.SIGTERM)
		if err := l.client.listens("tcp", 7000); err != nil {
			return err
		}
		l.pause(50, 600)
		if scheme == "" {
			return l.useInner("", "127.0.0.1:7000")
		}
		return l.useInner(scheme+"://127.0.0.1:7000", "127.0.0.1:7001")
	}
}

// intoTunnel starts a script on the client, which makes a device, and uses the
// server's end of the tunnel. The server has started its own end.
func intoTunnel(device, text string) use {
	return func(l *lab) error {
		p, err := l.client.begin(l.script(l.client, text))
		if err != nil {
			return err
		}
		defer p.stop(syscall.SIGTERM)
		if err := l.waitForDevice(device); err != nil {
			return err
		}
		for range 8 { // until the ends know each other
			if l.client.run("ping", "-q", "-c", "1", "-W", "1", innerServer) == nil {
				break
			}
		}
		return l.throughTunnel(device)
	}
}

// speakIPv6 gives both hosts an address of IPv6, which the session then has.
func (l *lab) speakIPv6() error {
	draw := func(prefix string) string {
		return fmt.Sprintf("%s:%x:%x::%x", prefix, 1+l.rng.IntN(0xfffe), 1+l.rng.IntN(0xfffe), 1+l.rng.IntN(0xfffe))
	}
	var errs []error
	for h, address := range map[*host]*string{l.client: &l.Client.Address, l.server: &l.Server.Address} {
		*address = draw(map[*host]string{l.client: "2001:db8", l.server: "2001:db8"}[h])
		errs = append(errs,
			h.inside(func() error {
				return errors.Join(os.WriteFile("/proc/sys/net/ipv6/conf/wire/accept_dad", []byte("0"), 0),
					os.WriteFile("/proc/sys/net/ipv6/conf/wire/disable_ipv6", []byte("0"), 0),
					os.WriteFile("/proc/sys/net/ipv6/conf/all/hop_limit", []byte(fmt.Sprint(h.Settings.TTL)), 0),
					os.WriteFile("/proc/sys/net/ipv6/conf/wire/hop_limit", []byte(fmt.Sprint(h.Settings.TTL)), 0))
			}),
			h.run("ip", "address", "add", *address+"/128", "dev", device, "nodad"),
			h.run("ip", "-6", "route", "add", "default", "dev", device))
	}
	return errors.Join(errs...)
}
