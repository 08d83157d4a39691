package main

import "fmt"

// x2go is a screen far away by X2Go: one login over SSH, which starts the session
// and then leads its NX protocol, with a program of the server.
func x2go(command string) func(*lab) error {
	return func(l *lab) error {
		if err := l.sshd("openssh"); err != nil {
			return err
		}
		prepare := l.script(l.server, `mount -t tmpfs lab /var/lib/x2go && x2godbadmin --createdb >&2 && mkdir -m 1777 -p /tmp/.x2go-root && cp user /root/.ssh/id_ed25519`)
		if err := l.server.finish(prepare); err != nil {
			return err
		}
		return l.watch(func(l *lab) (*process, error) {
			return l.viewer(fmt.Sprintf("pyhoca-cli --server $AT -p $PORT -u root --add-to-known-hosts -N -g %s -q %s -c %s",
				one(l, "800x600", "1024x768"), one(l, "lan", "adsl", "wan", "modem"), command), hasWindow)
		}, 1, 1)
	}
}

// hasWindow tells whether there is a window on the client's display.
func hasWindow(l *lab) bool {
	c := l.client.command("xdotool", "search", "--onlyvisible", "--class", ".")
	c.Env = append(c.Environ(), "DISPLAY="+clientDisplay)
	return l.client.finish(c) == nil
}
