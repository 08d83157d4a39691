package main

import (
	"fmt"
	"syscall"
)

// sshuttle leads the client's connections to the server's inner network through
// one login, by a program that it sends there.
func sshuttle(l *lab) error {
	if err := l.sshd("openssh"); err != nil {
		return err
	}
	if err := l.server.run("ip", "address", "add", innerServer+"/32", "dev", "lo"); err != nil {
		return err
	}
	if err := l.inner(8000); err != nil {
		return err
	}
	if err := l.captureTCP(); err != nil {
		return err
	}
	return l.some(1, 3, func(int) error {
		port := l.between(9000, 12000)
		p, err := l.client.start("sshuttle", "--listen", fmt.Sprintf("127.0.0.1:%d", port), "--method", "nat", "--disable-ipv6", "-e", "ssh"+joined(sshOptions), "-r", fmt.Sprintf("root@%s:%d", l.Server.Address, l.Port), innerServer+"/32")
		if err != nil {
			return err
		}
		defer p.stop(syscall.SIGTERM)
		if err := l.client.listens("tcp", port); err != nil {
			return err
		}
		l.pause(900, 2500) // until the server's end answers
		return l.useInner("", innerServer+":8000")
	})
}
