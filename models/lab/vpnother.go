package main

// vpnOther is networks over networks that are neither OpenVPN, WireGuard nor IPsec,
// and tunnels of other kinds.
var vpnOther = label{name: "vpn-other", share: 3, programs: []program{
	{"tinc", "", tinc.with(intoTunnel("tincc", "exec tincd -c $WORK/tc -D --pidfile=$WORK/tc.pid"))},
	{"nebula", "", nebula.with(intoTunnel("nebc", "exec nebula -config $WORK/nc.yml"))},
	{"n2n", test, n2n.with(intoTunnel("n2nc", "exec edge -f -d n2nc -a 10.99.7.2 -c lab -k secret -l $AT:$PORT"))},
	{"openconnect", "", ocserv.with(intoTunnel("occ", openconnect))},
	{"openconnect-tls", test, ocserv.with(intoTunnel("occ", openconnect+" --no-dtls"))},
	{"spiped", "", service{over: "tcp", inner: 7001, prepare: "head -c 32 /dev/urandom >key", run: []string{
		"exec spiped -F -d -s [0.0.0.0]:$PORT -t [127.0.0.1]:7001 -k key"}}.with(
		through("", "exec spiped -F -e -s [127.0.0.1]:7000 -t [$AT]:$PORT -k key"))},
	{"httptunnel", calibration, service{over: "tcp", inner: 7001, run: []string{"exec hts -S -w -F 127.0.0.1:7001 $PORT"}}.with(
		through("", "exec htc -S -w -F 7000 $AT:$PORT"))},
	{"softether", "", softEther("")},
	{"softether-tcp", "", softEther("AccountDetailSet lab /MAXTCP:$((RANDOM % 7 + 2)) /INTERVAL:1 /TTL:0 /HALF:no /BRIDGE:no /MONITOR:no /NOTRACK:yes /NOQOS:yes")},
	{"softether-compressed", test, softEther("AccountCompressEnable lab")},
	{"fastd", "", fastd("salsa2012+umac")},
	{"fastd-null", test, fastd("null")},
	{"vtun-udp", "", vtun("udp")},
	{"vtun-tcp", calibration, vtun("tcp")},
}}

var tinc = service{over: "tcp", inner: 8000, filter: "port $PORT", files: map[string]string{
	"ts/tinc.conf": "Name = server\nInterface = tincs\n",
	"ts/hosts/me":  "Subnet = 10.99.7.1/32\nPort = $PORT\nAddress = $AT $PORT\n",
	"ts/tinc-up":   "#!/bin/sh\nip address add 10.99.7.1/24 dev tincs\nip link set tincs mtu 1300 up\n",
	"tc/tinc.conf": "Name = client\nInterface = tincc\nConnectTo = server\n",
	"tc/hosts/me":  "Subnet = 10.99.7.2/32\nPort = 20655\n",
	"tc/tinc-up":   "#!/bin/sh\nip address add 10.99.7.2/24 dev tincc\nip link set tincc mtu 1300 up\n",
}, prepare: `chmod 755 t?/tinc-up
mv ts/hosts/me ts/hosts/server; mv tc/hosts/me tc/hosts/client
tincd -c $WORK/ts -K 2048 </dev/null; tincd -c $WORK/tc -K 2048 </dev/null
cp ts/hosts/server tc/hosts/; cp tc/hosts/client ts/hosts/
[ $((RANDOM % 3)) = 0 ] && echo "TCPOnly = yes" >>tc/hosts/client
true`, run: []string{"exec tincd -c $WORK/ts -D --pidfile=$WORK/ts.pid"}}

const nebulaCommon = `punchy: {punch: true}
firewall:
  outbound: [{port: any, proto: any, host: any}]
  inbound: [{port: any, proto: any, host: any}]
logging: {level: info}
`

var nebula = service{over: "udp", inner: 8000, files: map[string]string{
	"ns.yml": "pki: {ca: $WORK/ca.crt, cert: $WORK/s.crt, key: $WORK/s.key}\nlighthouse: {am_lighthouse: true}\nlisten: {host: 0.0.0.0, port: $PORT}\ntun: {dev: nebs, mtu: 1300}\n" + nebulaCommon,
	"nc.yml": "pki: {ca: $WORK/ca.crt, cert: $WORK/c.crt, key: $WORK/c.key}\nstatic_host_map: {\"10.99.7.1\": [\"$AT:$PORT\"]}\nlighthouse: {am_lighthouse: false, interval: 5, hosts: [10.99.7.1]}\nlisten: {host: 0.0.0.0, port: 0}\ntun: {dev: nebc, mtu: 1300}\n" + nebulaCommon,
}, prepare: `cipher=aes
nebula-cert ca -name lab && nebula-cert sign -name s -ip 10.99.7.1/24 && nebula-cert sign -name c -ip 10.99.7.2/24
[ $((RANDOM % 2)) = 0 ] && cipher=chachapoly
echo "cipher: $cipher" | tee -a ns.yml >>nc.yml`, run: []string{"exec nebula -config $WORK/ns.yml"}}

var n2n = service{over: "udp", inner: 8000, filter: "udp and host $AT", run: []string{"exec supernode -f -l $PORT",
	"sleep 0.3; exec edge -f -d n2ns -a 10.99.7.1 -c lab -k secret -l $AT:$PORT"}}

var ocserv = service{over: "tcp", tls: true, inner: 8000, filter: "port $PORT", files: map[string]string{
	"ocserv.conf": `auth = "plain[passwd=$WORK/ocpasswd]"
tcp-port = $PORT
udp-port = $PORT
run-as-user = root
run-as-group = root
socket-file = $WORK/ocserv.sock
pid-file = $WORK/ocserv.pid
server-cert = $WORK/cert.pem
server-key = $WORK/key.pem
ca-cert = $WORK/ca.pem
device = ocs
ipv4-network = 10.99.7.0
ipv4-netmask = 255.255.255.0
keepalive = 30
dpd = 10
try-mtu-discovery = false
cookie-timeout = 30
isolate-workers = false
max-clients = 8
use-occtl = false
`,
	"script": "#!/bin/sh\n[ \"$reason\" = connect ] && ip address add $INTERNAL_IP4_ADDRESS/24 dev $TUNDEV && ip link set $TUNDEV mtu 1300 up\ntrue\n",
}, prepare: `chmod 755 script; printf 'secret\nsecret\n' | ocpasswd -c ocpasswd lab`, run: []string{"exec ocserv -f -c ocserv.conf"}}

const openconnect = "echo secret | openconnect --passwd-on-stdin -u lab --cafile ca.pem --interface occ -s $WORK/script https://$NAME:$PORT"

// fastd carries packets over UDP: a handshake, then packets encrypted by the method.
func fastd(method string) func(*lab) error {
	end := func(device, address, more string) string {
		return `mode tun;
method "` + method + `";
mtu 1300;
interface "` + device + `";
log level info;
` + more + `
on up "ip address add ` + address + `/24 dev ` + device + ` && ip link set ` + device + ` up";
`
	}
	// A peer is known again only after a while.
	return service{over: "udp", inner: 8000, low: 1, top: 1, files: map[string]string{
		"fs.conf": end("fds", innerServer, "bind 0.0.0.0:$PORT;"),
		"fc.conf": end("fdc", innerClient, "bind 0.0.0.0;"),
	}, prepare: `pair() { fastd --generate-key 2>/dev/null >$1.key; awk '/Secret/{print $2}' $1.key >$1.secret; awk '/Public/{print $2}' $1.key >$1.public; }
pair s; pair c
printf 'secret "%s";\npeer "c" { key "%s"; }\n' $(cat s.secret c.public) >>fs.conf
printf 'secret "%s";\npeer "s" { key "%s"; remote %s port %s; }\n' $(cat c.secret s.public) $AT $PORT >>fc.conf`,
		run: []string{"exec fastd --config fs.conf"}}.with(intoTunnel("fdc", "exec fastd --config $WORK/fc.conf"))
}

// vtun has its control connection over TCP, and its packets too or over UDP.
func vtun(transport string) func(*lab) error {
	// vtund gives up if the device is not up for the first packet.
	up := func(device, address string) string {
		return "ip tuntap add dev " + device + " mode tun; ip address add " + address + "/24 dev " + device + "; ip link set " + device + " mtu 1300 up\n"
	}
	const session = "lab {\n  passwd secret;\n  type tun;\n"
	return service{over: "tcp", inner: 8000, low: 1, top: 1, filter: "(tcp port $PORT or udp) and host $AT", files: map[string]string{
		"vtund.conf": "options { port $PORT; syslog daemon; }\n" + session + "  proto " + transport + ";\n  encrypt aes128cbc;\n  keepalive yes;\n  device vts;\n}\n",
		"vtunc.conf": "options { port $PORT; syslog daemon; timeout 10; }\n" + session + "  device vtc;\n}\n",
	}, run: []string{up("vts", innerServer) + "exec vtund -s -n -f vtund.conf"}}.with(intoTunnel("vtc", up("vtc", innerClient)+"exec vtund -n -f $WORK/vtunc.conf lab $AT"))
}
