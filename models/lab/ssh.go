package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

var sshInteractive = label{name: "ssh-interactive", programs: []program{
	{"openssh", "", sshTyping("openssh", "ssh")},
	{"dropbear-client", "", sshTyping("openssh", "dbclient")},
	{"dropbear-server", calibration, sshTyping("dropbear", "ssh")},
	{"putty", test, sshTyping("openssh", "plink")},
}}

var sshBulk = label{name: "ssh-bulk", programs: []program{
	{"scp", "", sshCopy(func(l *lab, big string, up bool) *exec.Cmd {
		return l.copyWith("scp", []string{"-q", "-P"}, big, up)
	})},
	{"scp-legacy", "", sshCopy(func(l *lab, big string, up bool) *exec.Cmd {
		return l.copyWith("scp", []string{"-O", "-q", "-P"}, big, up)
	})},
	{"sftp", "", sshCopy(func(l *lab, big string, up bool) *exec.Cmd {
		do := "get " + big + " /tmp/got\n"
		if up {
			do = "put " + big + " /tmp/got\n"
		}
		return l.client.command("sftp", append(sshOptions, "-q", "-P", fmt.Sprint(l.Port), "-b", l.write("batch", do), "root@"+l.Server.Address)...)
	})},
	{"tar", calibration, sshCopy(func(l *lab, big string, up bool) *exec.Cmd {
		ssh := fmt.Sprintf("ssh %s -p %d root@%s", joined(sshOptions), l.Port, l.Server.Address)
		if up {
			return l.client.command("sh", "-c", fmt.Sprintf("tar c %s 2>/dev/null | %s 'cat >/dev/null'", big, ssh))
		}
		return l.client.command("sh", "-c", fmt.Sprintf("%s 'tar c %s 2>/dev/null' >/dev/null", ssh, big))
	})},
	{"rsync", test, sshCopy(func(l *lab, big string, up bool) *exec.Cmd {
		from, to := big, fmt.Sprintf("root@%s:/tmp/got", l.Server.Address)
		if !up {
			from, to = fmt.Sprintf("root@%s:%s", l.Server.Address, big), "/tmp/got"
		}
		return l.client.command("rsync", "-a", "-e", fmt.Sprintf("ssh %s -p %d", joined(sshOptions), l.Port), from, to)
	})},
	{"pscp", test, sshCopy(func(l *lab, big string, up bool) *exec.Cmd {
		return l.copyWith("pscp", []string{"-batch", "-hostkey", l.hostKey(), "-i", "user.ppk", "-q", "-P"}, big, up)
	})},
}}

var sshForward = label{name: "ssh-forward", programs: []program{
	{"local", "", sshTunnel(false, "ssh", "-N", "-L", "127.0.0.1:7000:127.0.0.1:7001")},
	{"socks", "", sshTunnel(true, "ssh", "-N", "-D", "127.0.0.1:7000")},
	{"dropbear-local", calibration, sshTunnel(false, "dbclient", "-N", "-L", "127.0.0.1:7000:127.0.0.1:7001")},
	{"putty-socks", test, sshTunnel(true, "plink", "-N", "-D", "127.0.0.1:7000")},
	{"sshuttle", "", sshuttle},
	{"x2go", "", x2go("xterm")},
	{"x2go-top", test, x2go("'xterm -e top -d 1'")},
	{"putty-local", test, sshTunnel(false, "plink", "-N", "-L", "127.0.0.1:7000:127.0.0.1:7001")},
}}

var sshOptions = []string{
	"-F", "none", "-i", work + "/user", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no",
	"-o", "UserKnownHostsFile=" + work + "/known", "-o", "LogLevel=ERROR",
}

func joined(args []string) (s string) {
	for _, a := range args {
		s += " " + a
	}
	return s
}

// sshd starts an SSH server: openssh or dropbear.
func (l *lab) sshd(kind string) error {
	keyType := one(l, "ed25519", "ed25519", "ecdsa", "rsa")
	if err := l.client.run("ssh-keygen", "-q", "-t", keyType, "-N", "", "-f", "hostkey"); err != nil {
		return err
	}
	if err := l.client.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "me", "-f", "user"); err != nil {
		return err
	}
	public, err := os.ReadFile("user.pub")
	if err != nil {
		return err
	}
	if err := os.WriteFile("/root/.ssh/authorized_keys", public, 0o600); err != nil {
		return err
	}
	if kind == "dropbear" {
		if err := l.client.run("dropbearkey", "-t", "ed25519", "-f", "dropbearkey"); err != nil {
			return err
		}
		_, err = l.server.start("dropbear", "-F", "-E", "-r", "dropbearkey", "-p", fmt.Sprint(l.Port), "-P", work+"/dropbear.pid")
	} else {
		ciphers := one(l, "", "", "Ciphers aes128-ctr\nMACs hmac-sha2-256\n", "Ciphers aes256-ctr\n")
		conf := l.write("sshd_config", `Port %d
HostKey %s/hostkey
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
PrintMotd no
UseDNS no
PidFile none
Compression %s
Subsystem sftp /usr/lib/openssh/sftp-server
%s`, l.Port, work, one(l, "no", "delayed"), ciphers)
		_, err = l.server.start("/usr/sbin/sshd", "-D", "-e", "-f", conf)
	}
	if err != nil {
		return err
	}
	return l.server.listens("tcp", l.Port)
}

// hostKey returns the server's key in the words of PuTTY.
func (l *lab) hostKey() string {
	out, _ := exec.Command("ssh-keygen", "-l", "-f", "hostkey.pub").Output()
	var bits, print string
	fmt.Sscan(string(out), &bits, &print)
	return print
}

// sshClient returns a login with one of the clients.
func (l *lab) sshClient(client string, options ...string) (*exec.Cmd, error) {
	at := "root@" + l.Server.Address
	switch client {
	case "ssh":
		return l.client.command("ssh", append(append(append([]string{}, sshOptions...), "-p", fmt.Sprint(l.Port)), append(options, at)...)...), nil
	case "dbclient":
		if err := l.client.run("sh", "-c", "[ -e user.db ] || dropbearconvert openssh dropbear user user.db"); err != nil {
			return nil, err
		}
		return l.client.command("dbclient", append(append([]string{"-y", "-y", "-i", "user.db", "-p", fmt.Sprint(l.Port)}, options...), at)...), nil
	default:
		if err := l.putty(); err != nil {
			return nil, err
		}
		return l.client.command("plink", append(append([]string{"-batch", "-no-antispoof", "-ssh", "-hostkey", l.hostKey(), "-i", "user.ppk", "-P", fmt.Sprint(l.Port)}, options...), at)...), nil
	}
}

func (l *lab) putty() error {
	return l.client.run("sh", "-c", "[ -e user.ppk ] || puttygen user -O private -o user.ppk")
}

var shellLines = []string{
	"ls -l /etc", "cd /usr/share", "pwd", "uptime", "ps aux | head", "cat /etc/passwd", "df -h", "who", "ls", "grep root /etc/group",
	"find /etc/ssh", "tail /etc/services", "echo hello there", "free -m", "id", "uname -a", "du -s /etc", "history | tail", "top -bn1 | head -20",
}

// sshTyping logs in and types commands.
func sshTyping(server, client string) func(*lab) error {
	return func(l *lab) error {
		if err := l.sshd(server); err != nil {
			return err
		}
		if err := l.captureTCP(); err != nil {
			return err
		}
		return l.some(2, 3, func(int) error {
			login, err := l.sshClient(client, "-t")
			if err != nil {
				return err
			}
			c := l.client.command("script", "-q", "-e", "-c", joined(login.Args), "/dev/null") // a terminal
			in, err := c.StdinPipe()
			if err != nil {
				return err
			}
			p, err := l.client.begin(c)
			if err != nil {
				return err
			}
			l.pause(500, 2500)
			lines := []string{}
			for range l.between(1, 3) {
				lines = append(lines, one(l, shellLines...))
			}
			if err := l.typing(in, append(lines, "exit")...); err != nil {
				return err
			}
			select {
			case <-p.done:
			case <-time.After(5 * time.Second):
			}
			in.Close()
			p.stop(syscall.SIGTERM)
			return nil
		})
	}
}

// sshCopy copies files of some size one way or the other.
func sshCopy(copying func(l *lab, big string, up bool) *exec.Cmd) func(*lab) error {
	return func(l *lab) error {
		if err := l.sshd("openssh"); err != nil {
			return err
		}
		if err := l.putty(); err != nil {
			return err
		}
		if err := l.captureTCP(); err != nil {
			return err
		}
		return l.some(2, 3, func(i int) error {
			big := l.data(fmt.Sprintf("big%d", i), l.size(200_000, 3<<19))
			return l.client.finish(copying(l, big, l.rng.IntN(2) == 0))
		})
	}
}

func (l *lab) copyWith(name string, options []string, big string, up bool) *exec.Cmd {
	args := append(options, fmt.Sprint(l.Port))
	if name == "scp" {
		args = append(args, sshOptions...)
	}
	remote := "root@" + l.Server.Address + ":"
	if up {
		return l.client.command(name, append(args, big, remote+"/tmp/got")...)
	}
	return l.client.command(name, append(args, remote+big, "/tmp/got")...)
}

// sshTunnel carries other traffic through a connection: pages, lines, transfers.
func sshTunnel(socks bool, client string, options ...string) func(*lab) error {
	return func(l *lab) error {
		if err := l.sshd("openssh"); err != nil {
			return err
		}
		if err := l.inner(7001); err != nil {
			return err
		}
		if err := l.captureTCP(); err != nil {
			return err
		}
		return l.some(2, 3, func(int) error {
			c, err := l.sshClient(client, options...)
			if err != nil {
				return err
			}
			in, err := c.StdinPipe() // PuTTY ends with its input
			if err != nil {
				return err
			}
			defer in.Close()
			p, err := l.client.begin(c)
			if err != nil {
				return err
			}
			defer p.stop(syscall.SIGTERM)
			if err := l.client.listens("tcp", 7000); err != nil {
				return err
			}
			l.pause(50, 800)
			if socks {
				return l.useInner("socks5h://127.0.0.1:7000", "127.0.0.1:7001")
			}
			return l.useInner("", "127.0.0.1:7000")
		})
	}
}

// inner starts what tunnels lead to: a web server without TLS on the server's
// loopback, or on all its addresses inside the tunnel.
func (l *lab) inner(port int) error {
	for i := range 6 {
		l.data(fmt.Sprintf("inner/item%d", i), l.size(100, 400_000))
	}
	l.data("inner/large", l.size(300_000, 1<<20))
	if _, err := l.server.start("busybox", "httpd", "-f", "-p", fmt.Sprint(port), "-h", work+"/inner"); err != nil {
		return err
	}
	return l.server.listens("tcp", port)
}

// useInner uses the web server at an address, through a proxy if one is given:
// a few small things with pauses and sometimes a large one.
func (l *lab) useInner(proxy, address string) error {
	args := []string{"-sS", "--fail", "--retry", "2", "--max-time", "15"}
	if proxy != "" {
		args = append(args, "--proxy", proxy)
	}
	get := func(name string) error {
		return l.client.run("curl", append(args, "-o", "/dev/null", "http://"+address+"/"+name)...)
	}
	if l.rng.IntN(4) == 0 {
		return get("large")
	}
	for range l.between(1, 4) {
		if err := get(fmt.Sprintf("item%d", l.rng.IntN(6))); err != nil {
			return err
		}
		l.pause(50, 1200)
	}
	return nil
}
