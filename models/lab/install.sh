#!/bin/sh
# Installs what models/lab runs, on Debian 12. Needs root. None of the services is
# started.
set -eu

policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then # services stay as they are
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod +x $policy
	trap 'rm -f $policy' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -q -y --no-install-recommends \
	apache2-utils aria2 avahi-daemon baresip-core bind9-dnsutils bsdutils busybox caddy charon-systemd chromium chrony coturn \
	ctorrent curl dante-server dns2tcp dnsdist dnsmasq-base dovecot-imapd dovecot-pop3d dropbear-bin exim4-daemon-light fastd \
	ffmpeg fping freeradius-utils freerdp2-x11 gir1.2-gst-rtsp-server-1.0 git gnutls-bin gssdp-tools gstreamer1.0-plugins-bad \
	gstreamer1.0-plugins-good gstreamer1.0-tools haproxy hping3 httptunnel inetutils-telnet iodine iperf iperf3 iproute2 \
	iptables iputils-ping isc-dhcp-server isync kamailio knot-dnsutils knot-resolver krb5-admin-server krb5-kdc krb5-user \
	ldap-utils lftp libcharon-extra-plugins libcoap3-bin libdbd-sqlite3-perl libmemcached-tools libnet-ssleay-perl libnfs-utils \
	lighttpd links lynx mariadb-server masscan memcached microsocks minissdpd mktorrent mosquitto mosquitto-clients msmtp \
	mtr-tiny n2n ncat nebula netcat-openbsd nfs-ganesha nfs-ganesha-vfs nginx-light ngircd ngtcp2-client ngtcp2-server nmap \
	ntpsec-ntpdig obfs4proxy ocserv openconnect openssh-client openssh-server openssl openvpn postgresql privoxy prosody ptunnel \
	ptunnel-ng putty-tools pyhoca-cli python3-gi python3-h2 python3-httpx python3-ldap3 python3-paho-mqtt python3-psycopg2 \
	python3-pyftpdlib python3-pymodbus python3-redis python3-requests python3-serial-asyncio python3-venv qemu-system-x86 rdate \
	rdesktop redis-server redis-tools rpcbind rsync samba shadowsocks-libev simple-obfs sip-tester sipsak slapd smbclient snmp \
	snmpd socat softether-vpnclient softether-vpncmd softether-vpnserver spice-client-gtk spiped squid sshuttle \
	strongswan-swanctl stubby stunnel4 swaks syncthing tcpdump tigervnc-standalone-server tigervnc-tools tigervnc-viewer \
	tightvncserver tinc tinyproxy tor transmission-cli trojan unbound util-linux v2ray virt-viewer vsftpd vtun w3m websockify \
	wget wireguard-go wireguard-tools x11vnc x2goserver xdotool xfonts-base xrdp xterm xtightvncviewer xvfb zmap
# aioquic is in no package of Debian 12.
/usr/bin/python3 -m venv /opt/serveflow-lab
/opt/serveflow-lab/bin/pip install -q aioquic
# GStreamer would look at all its plugins in each session.
GST_REGISTRY=/opt/serveflow-lab/gstreamer gst-inspect-1.0 >/dev/null
