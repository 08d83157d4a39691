#!/bin/bash
# What an operator does with the packages, on a root that has nothing of ours, told as a
# transcript. packages_test.go runs it there as a unit of systemd and reads what it says.
# In /trial are old.deb, new.deb and dns.pcap.
cd /trial || exit 1
export DEBIAN_FRONTEND=noninteractive SYSTEMD_PAGER=""

run() {
	echo "\$ $*"
	"$@" 2>&1
	local status=$?
	[ $status = 0 ] || echo "(exit $status)"
}

health() { # of the sidecar, with nothing but the shell
	local line
	for _ in {1..50}; do
		if exec 3<>/dev/tcp/127.0.0.1/9477; then
			printf 'GET /healthz HTTP/1.0\r\n\r\n' >&3
			while read -r line; do echo "${line%$'\r'}"; done <&3
			exec 3>&-
			return
		fi 2>/dev/null
		sleep 0.1
	done
	echo "nobody answers"
}

echo "# install"
run apt-get install --yes ./old.deb
run systemctl is-enabled serveflow
run systemctl is-active serveflow
run health
run serveflow version
run serveflow check -c /etc/serveflow/serveflow.toml
run ls -ld /run/serveflow /run/serveflow/serveflow.sock /var/log/serveflow
run id serveflow

echo "# label"
run serveflow replay dns.pcap
sleep 0.3
run tail -n 1 /var/log/serveflow/labels.jsonl

echo "# reload"
run systemctl reload serveflow
sleep 0.5
run systemctl is-active serveflow

echo "# sandbox"
pid=$(systemctl show --property MainPID --value serveflow)
run grep -E '^(Uid|NoNewPrivs|Seccomp|CapBnd):' "/proc/$pid/status"
run nsenter --target "$pid" --mount touch /etc/serveflow/written
run systemd-analyze --no-pager security serveflow.service --threshold=30

echo "# upgrade"
sed -i 's/^level = "info"/level = "debug"/' /etc/serveflow/serveflow.toml
run apt-get install --yes -o Dpkg::Options::=--force-confold ./new.deb
run grep '^level' /etc/serveflow/serveflow.toml /etc/serveflow/serveflow.toml.dpkg-dist
run systemctl is-active serveflow
run health
run serveflow replay dns.pcap
sleep 0.3
run wc -l /var/log/serveflow/labels.jsonl
before=$(systemctl show --property MainPID --value serveflow)
[ "$before" != "$pid" ] && echo "the sidecar is another one"

echo "# disabled stays disabled"
run systemctl disable --now serveflow
run apt-get install --yes --reinstall -o Dpkg::Options::=--force-confold ./new.deb
run systemctl is-enabled serveflow

echo "# remove"
run systemctl start serveflow
run apt-get remove --yes serveflow
run systemctl is-active serveflow
run ls /etc/serveflow /usr/bin/serveflow
run apt-get purge --yes serveflow
run ls -d /etc/serveflow /var/log/serveflow
run journalctl --unit serveflow --output cat --no-pager
echo "# end"
