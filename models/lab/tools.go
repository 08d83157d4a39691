package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// tools are the programs that sessions run; models/lab/install.sh installs them.
var tools = strings.Fields(`aria2c baresip busybox chromium chronyd ctorrent curl dbclient delv dig dns2tcpc dns2tcpd
	dnsmasq dovecot dropbear dropbearkey exim4 fping haproxy hping3 iodine iodined ip kdig lftp mbsync mktorrent
	mosquitto mosquitto_pub msmtp mtr nc nginx ntpdig obfs-local obfs-server openvpn pgbench ping plink pscp psql
	ptunnel ptunnel-ng puttygen rdate redis-benchmark redis-cli redis-server rsync script setpriv sipp socat
	ss-local ss-server ssh sshd stunnel4 swaks tcpdump tigervncpasswd transmission-cli unbound wg wget
	wireguard-go x11vnc xdotool xfreerdp xrdp xterm xtigervncviewer Xtigervnc Xvfb`)

// checkTools tells what is missing.
func checkTools() error {
	// Of a user's PATH, /usr/sbin may not be a part.
	os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	var missing []string
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			missing = append(missing, tool)
		}
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		missing = append(missing, "/dev/net/tun")
	}
	if len(missing) > 0 {
		return fmt.Errorf("missing: %s: run models/lab/install.sh", strings.Join(missing, ", "))
	}
	return nil
}
