#!/bin/bash
# Records the captures in this directory from real programs that talk to each
# other over a virtual Ethernet link between two network namespaces. Needs root
# and, on Debian:
#
#   apt-get install curl dnsmasq-base bind9-dnsutils ethtool iproute2 \
#     iputils-ping nginx-light openssh-client openssh-server openssl tcpdump tcpreplay
#
#   test/captures/record.sh [DIRECTORY]    (default: where the script stands)
#
# Everything happens in namespaces of its own, of networks, processes and
# mounts, that the kernel takes away with the last process: nothing is left
# however the script ends, and it ends after four minutes at the latest.
set -euo pipefail

if [ "${1-}" != inside ]; then
    [ "$(id -u)" = 0 ] || { echo "$0: needs root" >&2; exit 1; }
    for tool in curl dig dnsmasq ethtool ip nginx nsenter openssl ping ssh ssh-keygen sshd tcpdump tcprewrite; do
        PATH=$PATH:/usr/sbin command -v $tool >/dev/null || { echo "$0: $tool is missing" >&2; exit 1; }
    done
    out=$(realpath "${1-$(dirname "$0")}")
    exec unshare --net --mount --pid --fork --kill-child --mount-proc \
        timeout -k 5 240 "$(realpath "$0")" inside "$out"
fi

out=$2
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C TZ=UTC
umask 022
mount -t tmpfs none /run
mkdir /run/sshd /run/work
cd /run/work

# The client is this network namespace, the server one that a sleeping process
# keeps open. Documentation addresses (RFC 5737, RFC 3849), local MACs.
unshare --net sleep 300 &
server_pid=$!
server() { nsenter -t $server_pid -n "$@"; }
until [ "$(readlink /proc/$server_pid/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.1; done

quiet() { # no address configuration of its own, so that only the programs talk
    "$1" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
        net.ipv6.conf.default.addr_gen_mode=1 net.ipv6.conf.default.router_solicitations=0
}
here() { "$@"; }
plain() { # checksums and segments as they go over a wire, not as left to a card
    "$1" ethtool -K "$2" tx off rx off tso off gso off gro off sg off txvlan off rxvlan off >/dev/null 2>&1 || true
}
address() { # address SIDE DEVICE IPV4 IPV6
    "$1" ip addr add "$3/24" dev "$2"
    "$1" ip addr add "$4/64" dev "$2" nodad
    "$1" ip link set "$2" up
    plain "$1" "$2"
}

quiet here
quiet server
ip link add wire address 02:00:00:00:00:01 type veth peer name wire address 02:00:00:00:00:02 netns $server_pid
ip link set lo up
server ip link set lo up
address here wire 192.0.2.1 2001:db8::1
address server wire 192.0.2.2 2001:db8::2
for side in here server; do
    mac=$([ $side = here ] && echo 02:00:00:00:00:11 || echo 02:00:00:00:00:12)
    remote=$([ $side = here ] && echo 192.0.2.2 || echo 192.0.2.1)
    last=$([ $side = here ] && echo 1 || echo 2)
    $side ip link add inner address "$mac" mtu 1450 type vxlan id 7 remote "$remote" dev wire dstport 4789
    address $side wire "198.51.100.$last" "2001:db8:42::$last"
    address $side inner "203.0.113.$last" "2001:db8:7::$last"
done
# Packets to this neighbour arrive at the server, which is not it and drops them.
ip neigh add 192.0.2.9 lladdr 02:00:00:00:00:02 dev wire

# The services.
openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=www.example.test \
    -addext subjectAltName=DNS:www.example.test -keyout key.pem -out cert.pem 2>/dev/null
mkdir www
printf 'hello\n' >www/hello.txt
head -c 20000 < <(yes 'The quick brown fox jumps over the lazy dog.') >www/fox.txt
cat >nginx.conf <<END
user root;
worker_processes 1;
pid /run/work/nginx.pid;
error_log /run/work/nginx.log;
events {}
http {
    access_log off;
    client_body_temp_path /run/work/body;
    server {
        listen 80;
        listen [::]:80 ipv6only=on;
        root /run/work/www;
        location /form { return 204; }
    }
}
END
server nginx -c /run/work/nginx.conf -e /run/work/nginx.log
server openssl s_server -quiet -accept 443 -cert cert.pem -key key.pem -WWW >/dev/null 2>&1 &
server dnsmasq --no-resolv --no-hosts --no-daemon --user=root --conf-file=/dev/null --log-facility=/dev/null \
    --address=/www.example.test/192.0.2.2 --address=/www.example.test/2001:db8::2 \
    --txt-record=long.example.test,"$(printf '%0200d' 0)","$(printf '%0200d' 1)" --local=/example.test/ 2>/dev/null &
ssh-keygen -q -t ed25519 -N '' -C '' -f host_key
ssh-keygen -q -t ed25519 -N '' -C '' -f user_key
cp user_key.pub authorized
cat >sshd_config <<END
HostKey /run/work/host_key
AuthorizedKeysFile /run/work/authorized
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
PidFile none
END
server "$(command -v sshd)" -D -f sshd_config 2>/dev/null &

# What the client does.
get() { curl -sS -o /dev/null --max-time 10 "$@"; }
secure() { # secure URL-HOST ADDRESS OPTIONS
    get --cacert cert.pem --resolve "www.example.test:443:$1" "${@:2}" https://www.example.test/www/hello.txt
}
ask() { dig +tries=1 +time=2 +nocookie "$@" >/dev/null; }
login() {
    ssh -F none -i user_key -o BatchMode=yes -o UserKnownHostsFile=/run/work/known -o StrictHostKeyChecking=no \
        -o LogLevel=ERROR "root@$1" 'cat /run/work/www/hello.txt; sleep 0.2' >/dev/null
}

wait_for() { # until all services answer, before anything is recorded
    for _ in $(seq 50); do
        if get http://192.0.2.2/hello.txt && secure 192.0.2.2 && ask @192.0.2.2 www.example.test &&
            login 192.0.2.2; then return; fi 2>/dev/null
        sleep 0.2
    done
    echo "$0: the services do not answer" >&2
    exit 1
}

record() { # record FILE COMMANDS-FUNCTION
    : >tcpdump.log
    tcpdump -i wire -s 0 -U -w "$1" 2>tcpdump.log &
    local dump=$!
    until grep -q 'listening on' tcpdump.log; do sleep 0.05; done
    sleep 0.2
    "$2"
    sleep 1 # the last acknowledgements
    kill -INT $dump
    wait $dump
    echo "$1: $(stat -c %s "$1") bytes, $(grep 'packets captured' tcpdump.log)"
}

web() {
    get http://192.0.2.2/hello.txt
    get http://192.0.2.2/fox.txt
    get http://192.0.2.2/hello.txt -o /dev/null http://192.0.2.2/missing # one connection
    get -d 'name=value&other=2' http://192.0.2.2/form
    get 'http://[2001:db8::2]/hello.txt'
    get 'http://[2001:db8::2]/fox.txt'
}
tls() {
    secure 192.0.2.2
    secure 192.0.2.2 --tls-max 1.2
    secure '[2001:db8::2]'
    get -k https://192.0.2.2/www/fox.txt
}
dns() {
    ask @192.0.2.2 www.example.test A
    ask @192.0.2.2 www.example.test AAAA
    ask @192.0.2.2 nothing.example.test
    ask @192.0.2.2 +notcp +bufsize=512 +ignore long.example.test TXT
    ask @192.0.2.2 +tcp long.example.test TXT
    ask @2001:db8::2 www.example.test AAAA
    ask @2001:db8::2 +tcp www.example.test A
}
shell() {
    login 192.0.2.2
    login 2001:db8::2
}
icmp() {
    ping -q -c 3 -i 0.2 192.0.2.2
    ping -q -c 3 -i 0.2 2001:db8::2
    ping -q -c 1 -s 1400 192.0.2.2
} >/dev/null
failing() { # a refused connection, a closed UDP port, and SYNs that nobody answers
    get http://192.0.2.2:81/ 2>/dev/null || true
    get 'http://[2001:db8::2]:81/' 2>/dev/null || true
    ask @192.0.2.2 -p 9 www.example.test || true
    get http://192.0.2.9/ 2>/dev/null || true
}
over() { # a bit of everything between two addresses of the server
    get "http://$1/hello.txt"
    get "http://[$2]/hello.txt"
    secure "$1"
    ask "@$1" www.example.test
    ask "@$2" +tcp www.example.test
    ping -q -c 2 -i 0.2 "$1" >/dev/null
    ping -q -c 2 -i 0.2 "$2" >/dev/null
}
vlan() { over 198.51.100.2 2001:db8:42::2; }
tag() { # the tag that a switch adds for a mirror port; not every kernel can
    tcprewrite --enet-vlan=add --enet-vlan-tag=42 --enet-vlan-cfi=0 --enet-vlan-pri=0 -i "$1" -o tagged.pcap
    mv tagged.pcap "$1"
}
vxlan() { over 203.0.113.2 2001:db8:7::2; }

wait_for
record http.pcap web
record tls.pcap tls
record dns.pcap dns
record ssh.pcap shell
record icmp.pcap icmp
record failing.pcap failing
record vlan.pcap vlan
tag vlan.pcap
record vxlan.pcap vxlan
cp ./*.pcap "$out"
