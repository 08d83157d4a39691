package main

// plainHTTP is pages and answers without TLS.
var plainHTTP = label{name: "http", share: 2, programs: []program{
	{"nginx-curl", "", plainNginx.with(sh(
		"for i in $(seq $((RANDOM % 5 + 1))); do curl -sS -o /dev/null http://$TO:$PORT/page$((RANDOM % 3)).html; sleep 0.$((RANDOM % 9)); done",
		"curl -sS -o /dev/null http://$TO:$PORT/page0.html -o /dev/null http://$TO:$PORT/page1.html -o /dev/null http://$TO:$PORT/none$RANDOM",
		"curl -sS --http2-prior-knowledge -o /dev/null http://$TO:$PORT/page2.html",
		"curl -sSI http://$TO:$PORT/page1.html", "curl -sS -o /dev/null -r 100-9000 http://$TO:$PORT/large.bin",
		"curl -sS -o /dev/null -A 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36' -H 'Cookie: id='$RANDOM$RANDOM$RANDOM -e http://example.com/ http://$TO:$PORT/page2.html"))},
	{"nginx-post", "", plainNginx.with(sh(
		`curl -sS -o /dev/null -H 'Content-Type: application/json' -d "{\"id\":$RANDOM,\"value\":$RANDOM}" http://$TO:$PORT/api/v1/readings`,
		"head -c $((RANDOM * 20)) /dev/urandom >up; curl -sS -o /dev/null -T up http://$TO:$PORT/upload/file$RANDOM",
		"curl -sS -o /dev/null -F name=value -F file=@/etc/services http://$TO:$PORT/form.cgi"))},
	{"nginx-chromium", "", plainNginx.with(func(l *lab) error {
		return chromium(l, []string{l.expand("http://$TO:$PORT/page0.html")})
	})},
	{"nginx-browsers", "", plainNginx.with(sh("lynx -dump http://$TO:$PORT/page0.html >/dev/null", "w3m -dump http://$TO:$PORT/page1.html >/dev/null", "links -dump http://$TO:$PORT/page2.html >/dev/null"))},
	{"nginx-wget", test, plainNginx.with(sh("wget -q -p -P /tmp/got http://$TO:$PORT/page$((RANDOM % 3)).html", "wget -q -O /dev/null http://$TO:$PORT/large.bin"))},
	{"nginx-ab", "", plainNginx.with(sh("ab -q -n $((RANDOM % 12 + 1)) -c $((RANDOM % 2 + 1)) http://$TO:$PORT/page0.html; true", "ab -q -k -n $((RANDOM % 30 + 1)) http://$TO:$PORT/page1.html; true"))},
	{"python-requests", calibration, service{over: "tcp", ipv6: true, pages: true, run: []string{"cd www && exec /usr/bin/python3 -m http.server --bind $AT $PORT"}}.with(
		sh(`/usr/bin/python3 -c "
import requests, sys
s = requests.Session()
for i in range($((RANDOM % 5 + 1))): s.get('http://$TO:$PORT/page%d.html' % (i % 3))"`, `/usr/bin/python3 -c "
import urllib.request
urllib.request.urlopen('http://$TO:$PORT/page1.html').read()"`))},
	{"lighttpd-aria2", test, service{over: "tcp", pages: true, files: map[string]string{"lighttpd.conf": "server.port = $PORT\nserver.document-root = \"$WORK/www\"\n"},
		run: []string{"exec lighttpd -D -f lighttpd.conf"}}.with(sh("aria2c -q -d /tmp/got --allow-overwrite -x 3 http://$AT:$PORT/page0.html http://$AT:$PORT/page1.html", "curl -sS -o /dev/null http://$AT:$PORT/page2.html"))},
	{"caddy-keepalive", "", service{over: "tcp", ipv6: true, pages: true, run: []string{"exec caddy file-server --listen :$PORT --root www"}}.with(
		sh(`/usr/bin/python3 -c "
import http.client, time, random
c = http.client.HTTPConnection('$AT', $PORT)
for i in range(random.randint(2, 7)):
    c.request('GET', '/page%d.html' % (i % 3)); c.getresponse().read(); time.sleep(random.random() * 1.5)"`))},
	{"busybox-wget", "", service{over: "tcp", pages: true, run: []string{"exec busybox httpd -f -p $PORT -h www"}}.with(sh("busybox wget -q -O /dev/null http://$AT:$PORT/page$((RANDOM % 3)).html"))},
	{"websocket", "", service{over: "tcp", run: []string{"exec socat TCP-LISTEN:7001,reuseaddr,fork EXEC:cat", "exec websockify $PORT 127.0.0.1:7001"}}.with(
		sh(`/usr/bin/python3 -c "
import socket, os, time, random, struct
s = socket.create_connection(('$AT', $PORT))
s.send(b'GET /chat HTTP/1.1\r\nHost: $AT:$PORT\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: binary\r\nSec-WebSocket-Version: 13\r\n\r\n')
s.recv(4096)
for i in range(random.randint(2, 9)):
    n = random.randint(1, 120); k = os.urandom(4); d = os.urandom(n)
    s.send(b'\x82' + bytes([128 | n]) + k + bytes(b ^ k[j % 4] for j, b in enumerate(d))); s.recv(4096); time.sleep(random.random())
s.close()"`))},
	{"soap-and-ocsp", test, plainNginx.with(sh("curl -sS -o /dev/null -H 'SOAPAction: \"urn:schemas-upnp-org:service:WANIPConnection:1#GetStatusInfo\"' -H 'Content-Type: text/xml' -d '<?xml version=\"1.0\"?><s:Envelope/>' http://$TO:$PORT/ctl/IPConn",
		"head -c 80 /dev/urandom | curl -sS -o /dev/null -H 'Content-Type: application/ocsp-request' --data-binary @- http://$TO:$PORT/ocsp"))},
}}

var plainNginx = service{over: "tcp", ipv6: true, pages: true, files: map[string]string{"plain.conf": nginxHead + `	server { listen $PORT; listen [::]:$PORT; root /run/lab/www;
		location ~ /(api|upload|form|ctl|ocsp) { proxy_pass http://unix:/run/lab/sink.sock; } }
	server { listen unix:/run/lab/sink.sock; location / { default_type application/json; return 200 '{"status":"ok","id":12345}'; } }
}
`}, prepare: "head -c $((RANDOM * 60)) /dev/urandom >www/large.bin", run: []string{"exec nginx -p $WORK -c $WORK/plain.conf -e nginx.log -g 'daemon off;'"}}
