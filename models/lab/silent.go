package main

// silent is connections that nobody says anything on: scans, refusals and what is
// opened and closed.
var silent = label{name: "silent", reached: true, share: 2, programs: []program{
	{"nmap-syn", "", scanned.with(sh("nmap -n -Pn -sS -T4 --max-retries 1 -F --host-timeout 8s $AT >/dev/null"))},
	{"nmap-connect", "", scanned.with(sh("nmap -n -Pn -sT -T4 --max-retries 1 --top-ports $((RANDOM % 80 + 10)) --host-timeout 8s $AT >/dev/null"))},
	{"nmap-flags", test, scanned.with(sh("nmap -n -Pn $(set -- -sF -sN -sX -sA -sW -sM; shift $((RANDOM % 6)); echo $1) -T4 --max-retries 1 --top-ports 30 --host-timeout 8s $AT >/dev/null"))},
	{"masscan", "", scanned.with(sh("masscan $AT -p$((RANDOM % 1000 + 1))-$((RANDOM % 60 + 1001)),22,80,443,$PORT -e wire --adapter-ip $HERE --router-mac $(cat mac) --rate 200 --wait 1 >/dev/null 2>&1"))},
	{"zmap", calibration, scanned.with(sh("zmap -q -p $((RANDOM + 1)) -i wire -S $HERE -G $(cat mac) -c 1 --disable-syslog $AT/32 -o /dev/null -b /dev/null"))},
	{"refused", "", scanned.with(sh("for i in $(seq $((RANDOM % 5 + 1))); do nc -z -w 1 $AT $((RANDOM + 2000)); done"))},
	{"unanswered", "", service{over: "tcp", run: []string{"exec socat TCP-LISTEN:$PORT,reuseaddr,fork EXEC:cat"}, filter: "tcp and host $AT", low: 1, top: 2,
		prepare: "ip route add blackhole default table 9; ip rule add from $AT table 9; ip route add blackhole $HERE"}.with(sh("for i in 1 2 3; do nc -w $((RANDOM % 4 + 1)) -z $AT $((RANDOM % 3 * 1000 + 22)); done"))},
	{"open-close", "", scanned.with(sh("for i in $(seq $((RANDOM % 5 + 1))); do nc -z -w 2 $AT $PORT; sleep 0.$((RANDOM % 9)); done"))},
	{"open-idle", "", scanned.with(sh("sleep $((RANDOM % 6 + 1)) | timeout 7 nc -q 0 $AT $PORT"))},
	{"open-reset", test, scanned.with(sh(`/usr/bin/python3 -c "
import socket, struct, time, random
for i in range(random.randint(1, 5)):
    s = socket.create_connection(('$AT', $PORT), 3); s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0)); time.sleep(random.random()); s.close()"`))},
	{"keep-alive", "", scanned.with(sh(`/usr/bin/python3 -c "
import socket, time
s = socket.create_connection(('$AT', $PORT), 3); s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1); s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1); time.sleep(6)"`))},
}}

// scanned is a host with a few open ports.
var scanned = service{over: "tcp", filter: "tcp and host $AT", low: 1, top: 2, prepare: "ip -br link show wire | awk '{print $3}' >mac",
	run: []string{"exec socat -u TCP-LISTEN:$PORT,reuseaddr,fork OPEN:/dev/null,wronly"}}
