package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// tools are the programs that sessions run; models/lab/install.sh installs them.
var tools = strings.Fields(`/opt/serveflow-lab/bin/python3 ab aria2c avahi-daemon baresip busybox caddy charon-systemd chromium
	chronyd coap-client-notls ctorrent curl danted dbclient delv dhcpd dig dns2tcpc dns2tcpd dnsdist dnsmasq
	dovecot dropbear dropbearkey edge exim4 fastd ffmpeg fping ganesha.nfsd git gnutls-cli gnutls-serv
	gssdp-discover gst-launch-1.0 gtlsclient gtlsserver haproxy hping3 htc hts iodine iodined ip iperf
	iperf3 kamailio kdig kinit krb5kdc kresd ldapsearch lftp lighttpd links lynx mariadb mariadbd masscan
	mbsync memcached memcstat microsocks minissdpd mktorrent mosquitto mosquitto_pub msmtp mtr nc ncat
	nebula nebula-cert nfs-ls nginx ngircd nmap ntpdig obfs-local obfs-server obfs4proxy ocserv openconnect
	openssl openvpn pgbench ping plink privoxy prosody pscp psql ptunnel ptunnel-ng puttygen pyhoca-cli
	qemu-system-x86_64 radclient rdate rdesktop redis-benchmark redis-cli redis-server remote-viewer rpcbind
	rsync script setpriv sipp sipsak slapd smbclient smbd snmpd snmpget socat spicy spiped squid ss-local
	ss-server ssh sshd sshuttle stubby stunnel4 supernode swaks swanctl syncthing tcpdump telnet
	tigervncpasswd tincd tinyproxy tor tor-gencert transmission-cli trojan turnserver unbound unshare v2ray
	vpnclient vpncmd vpnserver vsftpd vtund w3m websockify wg wget wireguard-go x11vnc x2godbadmin xdotool
	xfreerdp xrdp xterm Xtigervnc xtigervncviewer Xtightvnc xtightvncviewer Xvfb zmap`)

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
