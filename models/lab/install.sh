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
	aria2 baresip-core bind9-dnsutils bsdutils busybox chromium chrony ctorrent curl dns2tcp dnsmasq-base \
	dovecot-imapd dovecot-pop3d dropbear-bin exim4-daemon-light fping freerdp2-x11 haproxy hping3 iodine iproute2 \
	iputils-ping isync knot-dnsutils lftp libnet-ssleay-perl mktorrent mosquitto mosquitto-clients msmtp mtr-tiny \
	netcat-openbsd nginx-light ntpsec-ntpdig openssh-client openssh-server openvpn postgresql ptunnel ptunnel-ng \
	putty-tools python3-h2 python3-httpx python3-paho-mqtt python3-psycopg2 python3-redis python3-requests rdate \
	redis-server redis-tools rsync shadowsocks-libev simple-obfs sip-tester socat stunnel4 swaks tcpdump \
	tigervnc-standalone-server tigervnc-tools tigervnc-viewer transmission-cli unbound util-linux wget \
	wireguard-go wireguard-tools x11vnc xdotool xrdp xterm xvfb
