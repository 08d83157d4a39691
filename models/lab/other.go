package main

// other is what none of the other labels is: the background of networks.
var other = label{name: "other", share: 8, programs: []program{
	{"redis-plain", "", service{over: "tcp", run: []string{"exec redis-server --port $PORT --bind 0.0.0.0 --protected-mode no --save '' --appendonly no"}}.with(
		sh("for i in 1 2 3 4; do echo SET key:$RANDOM $RANDOM; echo GET key:$RANDOM; done | redis-cli -h $AT -p $PORT", "redis-benchmark -q -h $AT -p $PORT -c 1 -n $((RANDOM % 40 + 3)) -t set,get", "redis-cli -h $AT -p $PORT info >/dev/null"))},
	{"postgres-plain", "", postgresPlain.with(sh("psql -q 'postgresql://postgres@'$AT:$PORT'/postgres?sslmode=disable' -c 'select * from pg_class limit '$((RANDOM % 60)) >/dev/null",
		"pgbench -n -t 3 'postgresql://postgres@'$AT:$PORT'/postgres?sslmode=disable'"))},
	{"mariadb", "", service{over: "tcp", low: 2, top: 3, prepare: "mkdir my; mysql_install_db --user=root --datadir=$WORK/my --auth-root-authentication-method=normal --skip-test-db >/dev/null; echo \"create user lab identified by 'secret'; grant all on *.* to lab; flush privileges;\" >init.sql",
		run: []string{"exec mariadbd --user=root --datadir=$WORK/my --port=$PORT --bind-address=0.0.0.0 --socket=$WORK/my.sock --skip-name-resolve --init-file=$WORK/init.sql --pid-file=$WORK/my.pid"}}.with(
		sh("mariadb -h $AT -P $PORT -u lab -psecret -e 'show variables; select now(); select user, host from mysql.user' >/dev/null", "mariadb -h $AT -P $PORT -u lab -pwrong -e 'select 1'",
			"for i in 1 2 3; do echo 'select benchmark(10, 1);'; done | mariadb -h $AT -P $PORT -u lab -psecret mysql"))},
	{"memcached", test, service{over: "tcp", run: []string{"exec memcached -u root -p $PORT -l 0.0.0.0"}}.with(sh(
		`for i in $(seq $((RANDOM % 9 + 1))); do printf 'set k%d 0 60 5\r\nhello\r\nget k%d\r\n' $i $i; sleep 0.2; done | timeout 3 nc -q 1 $AT $PORT; true`, "memcstat --servers=$AT:$PORT >/dev/null", "memcping --servers=$AT:$PORT"))},
	{"ftp-vsftpd", "", service{over: "tcp", filter: "tcp and host $AT", files: map[string]string{"vsftpd.conf": "listen=YES\nlisten_port=$PORT\nanonymous_enable=YES\nanon_root=$WORK/pub\nrun_as_launching_user=YES\nbackground=NO\nsecure_chroot_dir=/tmp\nseccomp_sandbox=NO\npasv_enable=YES\nxferlog_enable=NO\n"},
		prepare: "mkdir -p pub; for i in 0 1 2; do head -c $((RANDOM * 5)) /dev/urandom >pub/file$i; done; chmod 755 pub . pub/*", run: []string{"exec vsftpd $WORK/vsftpd.conf"}}.with(
		sh("curl -sS -o /dev/null ftp://$AT:$PORT/file$((RANDOM % 3))", "lftp -c \"open -p $PORT $AT; ls; get file1 -o /dev/null\"", "curl -sS ftp://$AT:$PORT/", "curl -sS -u user:wrong ftp://$AT:$PORT/"))},
	{"ftp-pyftpdlib", test, service{over: "tcp", filter: "tcp and host $AT", prepare: "mkdir -p pub; head -c 9000 /dev/urandom >pub/file1", run: []string{"exec /usr/bin/python3 -m pyftpdlib -i 0.0.0.0 -p $PORT -w -d pub"}}.with(
		sh("wget -q -O /dev/null ftp://$AT:$PORT/file1", "curl -sS -T /etc/services ftp://$AT:$PORT/up$RANDOM", "busybox ftpget -P $PORT $AT /tmp/x file1"))},
	{"telnet", "", service{over: "tcp", run: []string{"exec socat TCP-LISTEN:$PORT,reuseaddr,fork EXEC:'busybox telnetd -i -l /bin/sh',nofork", "true"}}.with(
		sh("(sleep 0.5; for c in 'ls /etc' pwd id 'uname -a' exit; do for ((k = 0; k < ${#c}; k++)); do printf '%s' \"${c:k:1}\"; sleep 0.$((RANDOM % 2))$((RANDOM % 9)); done; printf '\\r\\n'; sleep 0.4; done) | telnet $AT $PORT >/dev/null"))},
	{"irc", "", service{over: "tcp", files: map[string]string{"ngircd.conf": "[Global]\nName = irc.example.com\nInfo = Lab\nListen = 0.0.0.0\nPorts = $PORT\nServerGID = 0\nServerUID = 0\n[Options]\nDNS = no\nIdent = no\nPAM = no\n"}, run: []string{"exec ngircd -n -f $WORK/ngircd.conf"}}.with(
		sh(`(n=me$RANDOM; printf 'NICK %s\r\nUSER me 0 * :Me\r\n' $n; sleep 1; printf 'JOIN #lab\r\n'; for i in $(seq $((RANDOM % 6 + 1))); do printf 'PRIVMSG #lab :hello %d, how are things?\r\n' $RANDOM; sleep 0.$((RANDOM % 9)); done; printf 'QUIT\r\n'; sleep 0.3) | nc -q 1 $AT $PORT >/dev/null`))},
	{"smtp-plain", "", service{over: "tcp", files: map[string]string{"sink.py": `import asyncore, smtpd, sys
class S(smtpd.SMTPServer):
    def process_message(self, *a, **k): pass
S(("0.0.0.0", int(sys.argv[1])), None); asyncore.loop()
`}, run: []string{"exec /usr/bin/python3 -W ignore sink.py $PORT"}}.with(sh("swaks --server $AT:$PORT --to you@example.com --from me@example.com --body \"text $RANDOM\" >/dev/null", "head -c $((RANDOM * 3)) /dev/urandom >att; swaks --server $AT:$PORT --to you@example.com --attach @att >/dev/null", "nmap -n -Pn -sV -p $PORT --host-timeout 8s $AT >/dev/null"))},
	{"rsyncd", "", service{over: "tcp", files: map[string]string{"rsyncd.conf": "use chroot = no\nuid = 0\ngid = 0\n[pub]\npath = /etc/ssl\n"}, run: []string{"exec rsync --daemon --no-detach --port=$PORT --config=rsyncd.conf"}}.with(sh("rsync -a rsync://$AT:$PORT/pub/certs/ /tmp/got$RANDOM/ --exclude='[a-m]*'", "rsync rsync://$AT:$PORT/"))},
	{"tftp", "", service{over: "udp", filter: "udp and host $AT", prepare: "mkdir -p tftp; head -c $((RANDOM * 2)) /dev/urandom >tftp/boot; chmod -R 755 tftp", run: []string{"exec dnsmasq --no-daemon --conf-file=/dev/null --user=root --port=0 --pid-file= --enable-tftp --tftp-root=$WORK/tftp --bind-interfaces --listen-address=$AT & exec socat UDP-LISTEN:$PORT,fork UDP:$AT:69"},
		port: 69}.with(sh("curl -sS -o /dev/null tftp://$AT:$PORT/boot", "busybox tftp -g -r boot -l /tmp/boot $AT $PORT", "curl -sS -o /dev/null tftp://$AT:$PORT/none"))},
	{"syslog", "", service{over: "udp", filter: "port $PORT", run: []string{"exec socat -u UDP-RECV:$PORT OPEN:/dev/null,wronly"}}.with(sh("for i in $(seq $((RANDOM % 9 + 1))); do logger -n $AT -P $PORT -d --rfc3164 -t app \"message $RANDOM of a program that does something\"; sleep 0.$((RANDOM % 9)); done",
		"for i in $(seq $((RANDOM % 9 + 1))); do logger -n $AT -P $PORT -d --rfc5424 -p auth.info \"Accepted publickey for root from 10.0.0.$((RANDOM % 250)) port $RANDOM\"; sleep 0.$((RANDOM % 9)); done"))},
	{"syslog-tcp", test, service{over: "tcp", run: []string{"exec socat -u TCP-LISTEN:$PORT,reuseaddr,fork OPEN:/dev/null,wronly"}}.with(sh("for i in 1 2 3 4; do echo \"<13>Oct 11 22:14:1$i host app[$RANDOM]: some message $RANDOM\"; sleep 0.$((RANDOM % 9)); done | nc -q 1 $AT $PORT", "logger -n $AT -P $PORT -T 'one message'"))},
	{"stun-turn", "", turn.with(sh("turnutils_stunclient -p $PORT $AT", "turnutils_uclient -u lab -w secret -p $PORT -n $((RANDOM % 9 + 2)) -c -y $AT >/dev/null", "turnutils_uclient -t -u lab -w secret -p $PORT -n 5 -c -y $AT >/dev/null"))},
	{"xmpp", "", service{over: "tcp", tls: true, files: map[string]string{"prosody.lua": "pidfile = '$WORK/prosody.pid'\nrun_as_root = true\ndaemonize = false\ndata_path = '$WORK'\nc2s_ports = { $PORT }\ns2s_ports = {}\ncomponent_ports = {}\nmodules_enabled = {'roster','saslauth','tls','disco','ping','register'}\nallow_unencrypted_plain_auth = true\nc2s_require_encryption = false\ninterfaces = {'0.0.0.0'}\nssl = { certificate = '$WORK/cert.pem', key = '$WORK/key.pem' }\nVirtualHost 'example.com'\n"},
		run: []string{"exec prosody -F --config prosody.lua"}}.with(sh(`(printf "<?xml version='1.0'?><stream:stream to='example.com' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"; sleep 0.7; printf "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGxhYgBzZWNyZXQ=</auth>"; sleep 0.7; printf '</stream:stream>') | nc -q 1 $AT $PORT >/dev/null`,
		"timeout 5 openssl s_client -connect $AT:$PORT -starttls xmpp -xmpphost example.com </dev/null >/dev/null"))},
	{"iperf3", "", service{over: "tcp", filter: "port $PORT", run: []string{"exec iperf3 -s -p $PORT"}}.with(sh("iperf3 -c $AT -p $PORT -t 1 -b 2M >/dev/null", "iperf3 -c $AT -p $PORT -t 1 -u -b 500K >/dev/null", "iperf3 -c $AT -p $PORT -n 300K -R >/dev/null"))},
	{"iperf", test, service{over: "udp", run: []string{"exec iperf -s -u -p $PORT"}}.with(sh("iperf -c $AT -p $PORT -u -t 1 -b 400K >/dev/null", "iperf -c $AT -p $PORT -u -t 1 -l $((RANDOM % 1200 + 60)) -b 200K >/dev/null"))},
	{"radius", "", service{over: "udp", files: map[string]string{"radius.py": `import socket, sys, hashlib, random
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("0.0.0.0", int(sys.argv[1])))
while True:
    q, a = s.recvfrom(4096); code = {1: random.choice([2, 2, 3]), 4: 5}.get(q[0], 3)
    b = bytes([code, q[1], 0, 20]); s.sendto(b + hashlib.md5(b + q[4:20] + b"secret").digest(), a)
`}, run: []string{"exec /usr/bin/python3 radius.py $PORT"}}.with(sh("echo \"User-Name=user$RANDOM,User-Password=secret,NAS-Port=$((RANDOM % 50))\" | radclient -t 1 -r 1 $AT:$PORT auth secret", "echo \"User-Name=me,Acct-Status-Type=Start,Acct-Session-Id=$RANDOM\" | radclient -t 1 -r 1 $AT:$PORT acct secret"))},
	{"coap", "", service{over: "udp", run: []string{"exec coap-server-notls -p $PORT -A 0.0.0.0 || exec coap-server -p $PORT"}}.with(sh("coap-client-notls -m get coap://$AT:$PORT/.well-known/core", "coap-client-notls -m get coap://$AT:$PORT/time", "coap-client-notls -m put -e $RANDOM coap://$AT:$PORT/example_data"))},
	{"mqtt-plain", "", service{over: "tcp", files: map[string]string{"mq.conf": "user root\nallow_anonymous true\nlistener $PORT 0.0.0.0\n"}, run: []string{"exec mosquitto -c mq.conf"}}.with(sh("mosquitto_pub -h $AT -p $PORT -t lab/t$RANDOM -m '{\"value\": '$RANDOM'}' --repeat $((RANDOM % 5 + 1)) --repeat-delay 0.4", "mosquitto_sub -h $AT -p $PORT -t '#' -W 2"))},
	{"git-daemon", "", service{over: "tcp", prepare: "git init -q repo && cd repo && for i in 1 2 3; do head -c 9000 /dev/urandom >f$i; git add .; git -c user.name=a -c user.email=a@example.com commit -qm $i; done", run: []string{"exec git daemon --reuseaddr --export-all --base-path=$WORK --port=$PORT --listen=0.0.0.0"}}.with(sh("git clone -q git://$AT:$PORT/repo /tmp/clone$RANDOM", "git ls-remote git://$AT:$PORT/repo >/dev/null"))},
	{"netcat-random", "", service{over: "tcp", run: []string{"exec socat TCP-LISTEN:$PORT,reuseaddr,fork EXEC:cat"}}.with(sh("head -c $((RANDOM + 10)) /dev/urandom | nc -q 1 $AT $PORT >/dev/null", "for i in $(seq $((RANDOM % 9 + 1))); do head -c $((RANDOM % 300 + 1)) /dev/urandom; sleep 0.$((RANDOM % 9)); done | nc -q 1 $AT $PORT >/dev/null"))},
	{"netcat-udp", "", service{over: "udp", run: []string{"exec socat UDP-LISTEN:$PORT,fork EXEC:cat"}}.with(sh("for i in $(seq $((RANDOM % 9 + 1))); do head -c $((RANDOM % 900 + 1)) /dev/urandom; sleep 0.$((RANDOM % 9)); done | nc -u -q 1 -w 2 $AT $PORT >/dev/null", "for i in $(seq $((RANDOM % 20 + 1))); do echo \"frame $i x=$RANDOM y=$RANDOM\"; sleep 0.1; done | nc -u -q 1 -w 2 $AT $PORT >/dev/null"))},
	{"netcat-text", test, service{over: "tcp", run: []string{"exec socat TCP-LISTEN:$PORT,reuseaddr,fork EXEC:cat"}}.with(sh("for i in $(seq $((RANDOM % 9 + 1))); do echo '{\"jsonrpc\":\"2.0\",\"id\":'$RANDOM',\"method\":\"status\"}'; sleep 0.$((RANDOM % 9)); done | nc -q 1 $AT $PORT >/dev/null"))},
	{"nmap-version", "", slapd.with(sh("nmap -n -Pn -sV -p $PORT --version-intensity $((RANDOM % 9)) --host-timeout 8s $AT >/dev/null"))},
	{"tls-no-name", "", sTLS.with(sh("printf 'GET / HTTP/1.0\\r\\n\\r\\n' | timeout 4 openssl s_client -quiet -noservername -connect $AT:$PORT >/dev/null", "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | timeout 4 gnutls-cli --insecure --disable-sni -p $PORT $AT >/dev/null", "curl -sSk -o /dev/null https://$AT:$PORT/"))},
	{"tls-aborted", "", sTLS.with(sh("timeout 4 openssl s_client -connect $AT:$PORT -servername $NAME -CAfile /etc/hosts -verify_return_error </dev/null >/dev/null", "curl -sS -o /dev/null https://$NAME:$PORT/", "timeout 4 openssl s_client -connect $AT:$PORT -tls1 -cipher 'ALL@SECLEVEL=0' </dev/null >/dev/null", "curl -sSk -o /dev/null http://$AT:$PORT/"))},
	{"tls-unanswered", test, service{over: "tcp", tls: true, run: []string{"exec socat -u TCP-LISTEN:$PORT,reuseaddr,fork OPEN:/dev/null,wronly"}}.with(sh("timeout 3 openssl s_client -connect $AT:$PORT -servername $NAME </dev/null >/dev/null", "curl -sSk -m $((RANDOM % 3 + 1)) -o /dev/null https://$NAME:$PORT/"))},
	{"dtls", "", service{over: "udp", tls: true, run: []string{"exec openssl s_server -dtls -quiet -accept $PORT -cert cert.pem -key key.pem </dev/zero"}}.with(sh("(sleep 0.7; echo hello $RANDOM; sleep 1) | timeout 4 openssl s_client -dtls -connect $AT:$PORT >/dev/null"))},
	{"nfs", "", ganesha.with(libnfs("3", "$WORK/share"))},
	{"nfs-4", test, ganesha.with(libnfs("4", "/share"))},
	{"syncthing", calibration, service{over: "tcp", prepare: "HOME=$WORK syncthing generate --home=$WORK/st --no-default-folder; sed -i \"s#<listenAddress>default#<listenAddress>tcp://0.0.0.0:$PORT#; s#<globalAnnounceEnabled>true#<globalAnnounceEnabled>false#; s#<relaysEnabled>true#<relaysEnabled>false#\" st/config.xml",
		run: []string{"exec syncthing serve --home=$WORK/st --no-browser --no-restart"}}.with(sh("timeout 4 openssl s_client -alpn bep/1.0 -connect $AT:$PORT -cert cert.pem -key key.pem </dev/null >/dev/null", "timeout 4 openssl s_client -alpn bep/1.0 -connect $AT:$PORT </dev/null >/dev/null"))},
}}

var (
	turn = service{over: "udp", filter: "port $PORT", run: []string{"exec turnserver -n -L $AT -p $PORT -u lab:secret -r lab -a -f --no-tls --no-dtls --no-cli --log-file stdout --pidfile /tmp/turn.pid --userdb /tmp/turn.db --allow-loopback-peers"}}
	sTLS = service{over: "tcp", tls: true, ipv6: false, run: []string{"exec openssl s_server -quiet -www -accept $PORT -cert both.pem -key key.pem $(set -- '' -tls1_2 -tls1_3; shift $((RANDOM % 3)); echo $1)"}}

	postgresPlain = service{over: "tcp", prepare: `set -e
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
mkdir pg && chown -R postgres pg && chmod 700 pg
as() { setpriv --reuid postgres --regid postgres --clear-groups "$@"; }
as $bin/initdb -D pg -A trust --no-sync >/dev/null
echo 'host all all all trust' >>pg/pg_hba.conf
as $bin/pg_ctl -s -w -D pg -l pg/log -o "-p $PORT -c listen_addresses=* -c fsync=off -c unix_socket_directories=/run/lab/pg" start
as $bin/pgbench -h /run/lab/pg -p $PORT -i -q postgres`}
)

var mdns = label{name: "mdns", reached: true, programs: []program{
	{"dig-mdns", "", service{filter: "udp port 5353", run: []string{"exec socat -u UDP-RECV:5353 OPEN:/dev/null,wronly"}}.with(sh("sleep 0.5; dig +tries=1 +time=1 @224.0.0.251 -p 5353 _services._dns-sd._udp.local PTR", "sleep 0.5; dig +tries=1 +time=1 -p 5353 @224.0.0.251 host$RANDOM.local"))},
	{"avahi", "", avahi("_http._tcp", 80)},
	{"avahi-printer", test, avahi("_ipp._tcp", 631)},
}}

var ssdp = label{name: "ssdp", reached: true, programs: []program{
	{"gssdp", "", service{filter: "udp", low: 1, top: 2}.with(sh("ip route add 224.0.0.0/4 dev wire 2>/dev/null; timeout 4 gssdp-discover -i wire -t ssdp:all --timeout=3 >/dev/null", "ip route add 224.0.0.0/4 dev wire 2>/dev/null; timeout 4 gssdp-discover -i wire -t urn:schemas-upnp-org:device:MediaServer:1 --timeout=2 >/dev/null"))},
	{"python-search", "", service{filter: "udp", run: []string{"ip route add 224.0.0.0/4 dev wire; exec minissdpd -d -i wire"}}.with(sh(`ip route add 224.0.0.0/4 dev wire 2>/dev/null; /usr/bin/python3 -c "
import socket, time, random
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(random.randint(1, 4)):
    s.sendto(b'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \x22ssdp:discover\x22\r\nMX: 2\r\nST: ' + random.choice([b'ssdp:all', b'upnp:rootdevice', b'urn:dial-multiscreen-org:service:dial:1']) + b'\r\n\r\n', ('239.255.255.250', 1900)); time.sleep(random.random())"`))},
}}

var ot = label{name: "ot", programs: []program{
	{"modbus", "", modbus.with(sh(modbusClient("for i in range(random.randint(2, 9)): c.read_holding_registers(random.randint(0, 80), random.randint(1, 20), slave=1); time.sleep(random.random())")))},
	{"modbus-write", test, modbus.with(sh(modbusClient("for i in range(random.randint(2, 6)): c.write_register(random.randint(0, 80), random.randint(0, 9999), slave=1); c.read_coils(0, 16, slave=1); time.sleep(random.random())")))},
	{"modbus-poll", calibration, modbus.with(sh(modbusClient("for i in range(20): c.read_input_registers(0, 10, slave=1); time.sleep(0.2)")))},
}}

var modbus = service{over: "tcp", files: map[string]string{"modbus.py": `import sys
from pymodbus.server import StartTcpServer
from pymodbus.datastore import ModbusSequentialDataBlock as B, ModbusSlaveContext, ModbusServerContext
x = ModbusSlaveContext(di=B(0, [7] * 200), co=B(0, [1] * 200), hr=B(0, list(range(200))), ir=B(0, list(range(200))))
StartTcpServer(context=ModbusServerContext(slaves=x, single=True), address=("0.0.0.0", int(sys.argv[1])))
`}, run: []string{"exec /usr/bin/python3 modbus.py $PORT"}}

func modbusClient(do string) string {
	return `/usr/bin/python3 -c "
import random, time
from pymodbus.client import ModbusTcpClient
c = ModbusTcpClient('$AT', port=$PORT); c.connect()
` + do + `
c.close()"`
}
