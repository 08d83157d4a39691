package main

import (
	"fmt"
	"strings"
	"syscall"
	"time"
)

// tlsRelay is plain traffic that a relay puts into TLS at one end and another
// takes out at the other.
var tlsRelay = label{name: "tls-relay", programs: []program{
	{"stunnel", "", relay(stunnelServer, stunnelClient)},
	{"socat", "", relay(socatServer, socatClient)},
	{"stunnel-socat", "", relay(socatServer, stunnelClient)},
	{"socat-stunnel", calibration, relay(stunnelServer, socatClient)},
	{"haproxy", test, relay(haproxyServer, haproxyClient)},
}}

// shadowsocks is shadowsocks-libev, also in the disguise of simple-obfs.
var shadowsocks = label{name: "shadowsocks", programs: []program{
	{"chacha20", "", shadow("chacha20-ietf-poly1305", "")},
	{"aes-256-gcm", "", shadow("aes-256-gcm", "")},
	{"obfs-http", calibration, shadow("chacha20-ietf-poly1305", "http")},
	{"aes-128-gcm", test, shadow("aes-128-gcm", "")},
	{"aes-192-gcm", "", shadow("aes-192-gcm", "")},
	{"xchacha20", "", shadow("xchacha20-ietf-poly1305", "")},
	{"aes-256-cfb", "", shadow("aes-256-cfb", "")},
	{"chacha20-stream", test, shadow("chacha20-ietf", "")},
	{"aes-128-ctr", calibration, shadow("aes-128-ctr", "")},
	{"rc4-md5", "", shadow("rc4-md5", "")},
	{"obfs-tls", "", shadow("aes-256-gcm", "tls")},
}}

func stunnelServer(l *lab) error {
	conf := l.write("stunnel.conf", "foreground = yes\npid =\nsyslog = no\n[in]\naccept = %d\nconnect = 127.0.0.1:7001\ncert = %s/both.pem\n%s",
		l.Port, work, one(l, "", "sslVersionMax = TLSv1.2\n"))
	_, err := l.server.start("stunnel4", conf)
	return err
}

func stunnelClient(l *lab) (*process, error) {
	conf := l.write("stunnel-client.conf", "foreground = yes\npid =\nsyslog = no\n[out]\nclient = yes\naccept = 127.0.0.1:7000\nconnect = %s:%d\n%s",
		l.Server.Address, l.Port, one(l, "", "sni = relay.example.com\n"))
	return l.client.start("stunnel4", conf)
}

func socatServer(l *lab) error {
	_, err := l.server.start("socat", fmt.Sprintf("OPENSSL-LISTEN:%d,reuseaddr,fork,cert=both.pem,verify=0", l.Port), "TCP:127.0.0.1:7001")
	return err
}

func socatClient(l *lab) (*process, error) {
	return l.client.start("socat", "TCP-LISTEN:7000,bind=127.0.0.1,reuseaddr,fork", fmt.Sprintf("OPENSSL:%s:%d,verify=0", l.Server.Address, l.Port))
}

const haproxyConf = `global
	maxconn 100
defaults
	mode tcp
	timeout connect 10s
	timeout client 60s
	timeout server 60s
listen relay
	bind %s
	server other %s
`

func haproxyServer(l *lab) error {
	conf := l.write("haproxy.cfg", haproxyConf, fmt.Sprintf("*:%d ssl crt %s/both.pem", l.Port, work), "127.0.0.1:7001")
	_, err := l.server.start("haproxy", "-db", "-f", conf)
	return err
}

func haproxyClient(l *lab) (*process, error) {
	conf := l.write("haproxy-client.cfg", haproxyConf, "127.0.0.1:7000", fmt.Sprintf("%s:%d ssl verify none", l.Server.Address, l.Port))
	return l.client.start("haproxy", "-db", "-f", conf)
}

func relay(server func(*lab) error, client func(*lab) (*process, error)) func(*lab) error {
	return func(l *lab) error {
		if _, err := l.identity(); err != nil {
			return err
		}
		talk, err := l.innerService()
		if err != nil {
			return err
		}
		if err := server(l); err != nil {
			return err
		}
		if err := l.server.listens("tcp", l.Port); err != nil {
			return err
		}
		p, err := client(l)
		if err != nil {
			return err
		}
		defer p.stop(syscall.SIGTERM)
		if err := l.client.listens("tcp", 7000); err != nil {
			return err
		}
		if err := l.captureTCP(); err != nil {
			return err
		}
		return l.some(2, 4, func(int) error { return talk() })
	}
}

// innerService starts a service without TLS on the server's port 7001, and
// returns what uses it through port 7000 of the client: pages, or a database, or
// lines that are typed and answered.
func (l *lab) innerService() (func() error, error) {
	switch l.rng.IntN(3) {
	case 0:
		return func() error { return l.useInner("", "127.0.0.1:7000") }, l.inner(7001)
	case 1:
		if _, err := l.server.start("redis-server", "--port", "7001", "--save", "", "--appendonly", "no"); err != nil {
			return nil, err
		}
		return func() error {
			c := l.client.command("redis-cli", "-p", "7000")
			c.Stdin = strings.NewReader(l.redisCommands())
			return l.client.finish(c)
		}, l.server.listens("tcp", 7001)
	default:
		if _, err := l.server.start("socat", "TCP-LISTEN:7001,reuseaddr,fork", "EXEC:cat"); err != nil {
			return nil, err
		}
		return func() error {
			c := l.client.command("nc", "127.0.0.1", "7000")
			in, err := c.StdinPipe()
			if err != nil {
				return err
			}
			p, err := l.client.begin(c)
			if err != nil {
				return err
			}
			for range l.between(1, 6) {
				fmt.Fprintln(in, strings.Repeat(one(l, "hello ", "status? ", "line of a protocol, "), l.between(1, 12)))
				l.pause(100, 1000)
			}
			in.Close()
			time.Sleep(50 * time.Millisecond)
			p.stop(syscall.SIGTERM)
			return nil
		}, l.server.listens("tcp", 7001)
	}
}

func shadow(method, obfs string) func(*lab) error {
	return func(l *lab) error {
		if err := l.inner(7001); err != nil {
			return err
		}
		plugin := func(side string) (args []string) {
			if obfs != "" {
				options := "obfs=" + obfs
				if side == "local" {
					options += ";obfs-host=" + one(l, "www.example.com", "cdn.example.org")
				}
				args = []string{"--plugin", map[string]string{"local": "obfs-local", "server": "obfs-server"}[side], "--plugin-opts", options}
			}
			return args
		}
		common := []string{"-p", fmt.Sprint(l.Port), "-k", fmt.Sprint("secret", l.rng.Uint32()), "-m", method, "-t", "60"}
		// The server connects to its own loopback, which has to be allowed.
		if _, err := l.server.start("ss-server", append(append([]string{"-s", "0.0.0.0"}, common...), plugin("server")...)...); err != nil {
			return err
		}
		if err := l.server.listens("tcp", l.Port); err != nil {
			return err
		}
		p, err := l.client.start("ss-local", append(append([]string{"-s", l.Server.Address, "-b", "127.0.0.1", "-l", "7000"}, common...), plugin("local")...)...)
		if err != nil {
			return err
		}
		defer p.stop(syscall.SIGTERM)
		if err := l.client.listens("tcp", 7000); err != nil {
			return err
		}
		if err := l.captureTCP(); err != nil {
			return err
		}
		return l.some(2, 3, func(int) error {
			return l.useInner("socks5h://127.0.0.1:7000", "127.0.0.1:7001")
		})
	}
}
