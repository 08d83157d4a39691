package main

import (
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// ordinaryDNS is what names are looked up with, over UDP and TCP.
var ordinaryDNS = label{name: "dns", programs: []program{
	{"dig-dnsmasq", "", lookups(dnsmasq, dig)},
	{"dig-unbound", "", lookups(unbound, dig)},
	{"forwarder", "", lookups(unbound, forwarded)},
	{"kdig-dnsmasq", calibration, lookups(dnsmasq, kdig)},
	{"kdig-unbound", test, lookups(unbound, kdig)},
	{"delv-unbound", test, lookups(unbound, delv)},
}}

// dnsTunnel is other traffic inside of names that are looked up.
var dnsTunnel = label{name: "dns-tunnel", programs: []program{
	{"iodine", "", iodine("")},
	{"iodine-txt", "", iodine("TXT")},
	{"iodine-cname", calibration, iodine("CNAME")},
	{"dns2tcp", test, dns2tcp},
	{"iodine-raw", "", iodine("raw")},
	{"iodine-null", "", iodine("NULL")},
	{"iodine-private", "", iodine("PRIVATE")},
	{"iodine-srv", "", iodine("SRV")},
	{"iodine-mx", "", iodine("MX")},
	{"iodine-a", test, iodine("A")},
}}

var (
	dnsHosts = []string{"www", "mail", "api", "static.assets", "ns1", "updates", "telemetry.eu-central-1", "a", "login"}
	dnsZones = []string{"example.com", "corp.example", "service.example.net", "x.example", "very-long-name-of-a-company.example.org"}
	dnsTypes = []string{"A", "A", "A", "AAAA", "AAAA", "MX", "TXT", "NS", "SOA", "SRV", "PTR", "CNAME", "HTTPS", "DS"}
)

func dnsmasq(l *lab) error {
	args := []string{"--no-daemon", "--no-resolv", "--no-hosts", "--user=root", "--conf-file=/dev/null", "--log-facility=/dev/null", "--pid-file=", "-p", fmt.Sprint(l.Port)}
	for i, zone := range dnsZones {
		args = append(args, "--local=/"+zone+"/", fmt.Sprintf("--txt-record=%s,%s", zone, strings.Repeat("v=spf1 ", l.between(2, 30))),
			fmt.Sprintf("--mx-host=%s,mail.%s,%d", zone, zone, i))
		for k, name := range dnsHosts {
			if l.rng.IntN(4) > 0 {
				args = append(args, fmt.Sprintf("--host-record=%s.%s,203.0.113.%d,2001:db8::%d", name, zone, k+1, k+1))
			}
		}
	}
	_, err := l.server.start("dnsmasq", args...)
	return err
}

func unbound(l *lab) error {
	var data strings.Builder
	for i, zone := range dnsZones {
		fmt.Fprintf(&data, " local-zone: %q static\n local-data: '%s TXT %q'\n local-data: '%s MX %d mail.%s'\n local-data: '%s NS ns1.%s'\n", zone, zone,
			strings.Repeat("v=spf1 ", l.between(2, 30)), zone, i, zone, zone, zone)
		for k, name := range dnsHosts {
			for range l.rng.IntN(4) {
				fmt.Fprintf(&data, " local-data: '%s.%s %d A 203.0.113.%d'\n", name, zone, 300, l.between(1, 250))
			}
			fmt.Fprintf(&data, " local-data: '%s.%s AAAA 2001:db8::%d'\n", name, zone, k+1)
		}
	}
	conf := l.write("unbound.conf", `server:
 interface: 0.0.0.0
 port: %d
 access-control: 0.0.0.0/0 allow
 do-daemonize: no
 use-syslog: no
 username: ""
 chroot: ""
 directory: %q
 pidfile: ""
 num-threads: 1
 module-config: "iterator"
 minimal-responses: %s
%s
remote-control:
 control-enable: no
`, l.Port, work, one(l, "yes", "no"), data.String())
	_, err := l.server.start("unbound", "-d", "-c", conf)
	return err
}

func (l *lab) question() (name, kind string) {
	zone := one(l, dnsZones...)
	name = one(l, dnsHosts...) + "." + zone
	switch l.rng.IntN(8) {
	case 0:
		name = zone
	case 1:
		name = fmt.Sprintf("host%d.%s", l.rng.IntN(1000), zone) // which does not exist
	case 2:
		return fmt.Sprintf("%d.113.0.203.in-addr.arpa", l.between(1, 250)), "PTR"
	}
	return name, one(l, dnsTypes...)
}

func dig(l *lab) error {
	name, kind := l.question()
	args := []string{"@" + l.Server.Address, "-p", fmt.Sprint(l.Port), "+tries=2", "+time=2", one(l, "+edns", "+noedns", "+dnssec"), one(l, "+cookie", "+nocookie"), name, kind}
	if l.rng.IntN(8) == 0 {
		args = append(args, "+tcp")
	}
	return l.client.run("dig", args...)
}

func kdig(l *lab) error {
	name, kind := l.question()
	args := []string{"@" + l.Server.Address, "-p", fmt.Sprint(l.Port), "+retry=2", "+time=2", one(l, "+edns", "+noedns", "+dnssec"), name, kind}
	if l.rng.IntN(8) == 0 {
		args = append(args, "+tcp")
	}
	return l.client.run("kdig", args...)
}

func delv(l *lab) error {
	name, kind := l.question()
	l.client.run("delv", "@"+l.Server.Address, "-p", fmt.Sprint(l.Port), "-i", name, kind) // it takes a missing name for a failure
	return nil
}

// forwarded asks a resolver on the client, which asks the server.
func forwarded(l *lab) error {
	if l.client.run("sh", "-c", "[ -e forwarder ]") != nil {
		l.write("forwarder", "")
		if _, err := l.client.start("dnsmasq", "--no-daemon", "--no-resolv", "--no-hosts", "--user=root", "--conf-file=/dev/null",
			"--log-facility=/dev/null", "--pid-file=", "-p", "5300", fmt.Sprintf("--server=%s#%d", l.Server.Address, l.Port), "--cache-size=0"); err != nil {
			return err
		}
		if err := l.client.listens("udp", 5300); err != nil {
			return err
		}
	}
	name, kind := l.question()
	return l.client.run("dig", "@127.0.0.1", "-p", "5300", "+tries=1", "+time=3", name, kind)
}

func lookups(server, ask func(*lab) error) func(*lab) error {
	return func(l *lab) error {
		if err := server(l); err != nil {
			return err
		}
		if err := l.server.listens("udp", l.Port); err != nil {
			return err
		}
		if err := l.capture("port %d", l.Port); err != nil {
			return err
		}
		for range l.between(4, 16) {
			if err := ask(l); err != nil { // which the loss of a datagram may be
				fmt.Fprintln(l.log, err)
			}
			l.pause(10, 800)
		}
		return nil
	}
}

// iodine tunnels IP through a resolver on the server, or straight to its own
// server, which the client then also talks to without DNS (raw).
func iodine(kind string) func(*lab) error {
	return func(l *lab) error {
		zone := one(l, "t.example.com", "tunnel.corp.example", "z.example")
		serverPort := 5399
		if kind == "raw" {
			serverPort = l.Port
		} else if _, err := l.server.start("dnsmasq", "--no-daemon", "--no-resolv", "--no-hosts", "--user=root", "--conf-file=/dev/null",
			"--log-facility=/dev/null", "--pid-file=", "-p", fmt.Sprint(l.Port), "--cache-size=0", "--edns-packet-max=4096",
			fmt.Sprintf("--server=/%s/127.0.0.1#%d", zone, serverPort)); err != nil {
			return err
		}
		if _, err := l.server.start("iodined", "-f", "-c", "-P", "secret", "-p", fmt.Sprint(serverPort), innerServer+"/24", zone); err != nil {
			return err
		}
		for _, port := range []int{serverPort, l.Port} {
			if err := l.server.listens("udp", port); err != nil {
				return err
			}
		}
		if err := l.inner(8000); err != nil {
			return err
		}
		l.knowsOnly(53)
		if err := l.captureUDP(); err != nil {
			return err
		}
		return l.some(2, 2, func(int) error {
			args := []string{"-f", "-P", "secret", "-d", "dns0", "-I", fmt.Sprint(l.between(1, 4))}
			if kind != "raw" {
				args = append(args, "-r", "-m", fmt.Sprint(l.between(200, 1100)))
			}
			if kind != "" && kind != "raw" {
				args = append(args, "-T", kind, "-O", one(l, "base32", "base64", "base64u", "base128"))
			}
			p, err := l.client.start("iodine", append(args, l.Server.Address, zone)...)
			if err != nil {
				return err
			}
			defer p.stop(syscall.SIGTERM)
			if err := l.waitForDevice("dns0"); err != nil {
				return err
			}
			l.pause(100, 1000)
			l.client.run("ping", "-q", "-c", fmt.Sprint(l.between(1, 5)), "-i", "0.3", "-W", "2", innerServer)
			l.client.run("curl", "-sS", "--max-time", "4", "-o", "/dev/null", fmt.Sprintf("http://%s:8000/item%d", innerServer, l.rng.IntN(6)))
			return nil
		})
	}
}

func dns2tcp(l *lab) error {
	const zone = "d.example.com"
	if err := l.inner(7001); err != nil {
		return err
	}
	server := l.write("dns2tcpd.conf", "listen = 0.0.0.0\nport = %d\nuser = root\nchroot = /tmp\ndomain = %s\nkey = secret\nresources = web:127.0.0.1:7001\n", l.Port, zone)
	if _, err := l.server.start("dns2tcpd", "-F", "-f", server); err != nil {
		return err
	}
	if err := l.server.listens("udp", l.Port); err != nil {
		return err
	}
	l.knowsOnly(53)
	if err := l.captureUDP(); err != nil {
		return err
	}
	return l.some(2, 3, func(int) error {
		p, err := l.client.start("dns2tcpc", "-z", zone, "-k", "secret", "-r", "web", "-l", "7000", "-T", one(l, "TXT", "KEY"), l.Server.Address)
		if err != nil {
			return err
		}
		defer p.stop(syscall.SIGTERM)
		if err := l.client.listens("tcp", 7000); err != nil {
			return err
		}
		for range l.between(1, 3) {
			l.client.run("curl", "-sS", "--max-time", "4", "-o", "/dev/null", fmt.Sprintf("http://127.0.0.1:7000/item%d", l.rng.IntN(6)))
			l.pause(50, 500)
		}
		return nil
	})
}

// waitForDevice waits until the client has a device that is up.
func (l *lab) waitForDevice(device string) error {
	for range 200 {
		c := exec.Command("ip", "-4", "address", "show", "dev", device)
		var text strings.Builder
		c.Stdout = &text
		if l.client.inside(c.Run) == nil && strings.Contains(text.String(), "inet ") {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("no device %s", device)
}
