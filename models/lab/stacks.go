package main

// tlsStacks are pages over TLS by other libraries and older versions than nginx's:
// GnuTLS, Go, and OpenSSL from TLS 1.0 on.
var tlsStacks = []program{
	{"gnutls-curl", "", gnutlsServ.with(sh("curl -sSk -o /dev/null https://$NAME:$PORT/", "curl -sSk --tls-max 1.2 -o /dev/null https://$NAME:$PORT/"))},
	{"gnutls-gnutls", "", gnutlsServ.with(gnutlsCLI)},
	{"go-curl", "", caddyTLS.with(sh("curl -sSk -o /dev/null https://$NAME:$PORT/page0.html -o /dev/null https://$NAME:$PORT/page1.html", "curl -sSk --http1.1 -o /dev/null https://$NAME:$PORT/page2.html"))},
	{"go-gnutls", "", caddyTLS.with(gnutlsCLI)},
	{"go-chromium", test, caddyTLS.with(func(l *lab) error {
		return chromium(l, []string{l.expand("https://$NAME:$PORT/page0.html")})
	})},
	{"openssl-1.0", "", opensslServer("-tls1").with(opensslClient("-tls1"))},
	{"openssl-1.1", calibration, opensslServer("-tls1_1").with(opensslClient("-tls1_1"))},
	{"openssl-1.2", "", opensslServer("-tls1_2").with(opensslClient("-tls1_2"))},
	{"openssl-gnutls", test, opensslServer("").with(gnutlsCLI)},
	{"openssl-links", "", opensslServer("").with(sh("links -ssl.certificates 0 -dump https://$NAME:$PORT/www/page0.html >/dev/null", "w3m -o ssl_verify_server=0 -dump https://$NAME:$PORT/www/page1.html >/dev/null", "lynx -noprint -dump https://$NAME:$PORT/www/page2.html </dev/null >/dev/null"))},
	{"openssl-keepalive", "", caddyTLS.with(sh(`/usr/bin/python3 -c "
import http.client, ssl, time, random
c = http.client.HTTPSConnection('$NAME', $PORT, context=ssl._create_unverified_context())
for i in range(random.randint(2, 6)):
    c.request('GET', '/page%d.html' % (i % 3)); c.getresponse().read(); time.sleep(random.random() * 1.5)"`))},
}

var (
	gnutlsServ = service{over: "tcp", tls: true, run: []string{"exec gnutls-serv -q --http --x509keyfile key.pem --x509certfile cert.pem -p $PORT"}}
	caddyTLS   = service{over: "tcp", tls: true, pages: true, run: []string{"exec caddy run --config Caddyfile --adapter caddyfile"}, files: map[string]string{
		"Caddyfile": "{\n\tadmin off\n\thttp_port 7080\n\tauto_https disable_redirects\n\tservers {\n\t\tprotocols h1 h2\n\t}\n}\nhttps://$NAME:$PORT {\n\ttls $WORK/cert.pem $WORK/key.pem\n\troot * $WORK/www\n\tfile_server\n}\n"}}
	gnutlsCLI = sh(`printf 'GET /page0.html HTTP/1.0\r\nHost: %s\r\n\r\n' $NAME | timeout 4 gnutls-cli --insecure --priority $(set -- NORMAL NORMAL:-VERS-TLS1.3 NORMAL:-CURVE-ALL:+CURVE-SECP256R1 PFS; shift $((RANDOM % 4)); echo $1) -p $PORT $NAME >/dev/null`)
)

func opensslServer(version string) service {
	return service{over: "tcp", tls: true, pages: true, run: []string{"exec openssl s_server -quiet -WWW " + version + " -cipher ALL@SECLEVEL=0 -accept $PORT -cert both.pem -key key.pem"}}
}

func opensslClient(version string) use {
	return sh("printf 'GET /www/page0.html HTTP/1.0\\r\\n\\r\\n' | timeout 4 openssl s_client -quiet " + version + " -cipher $(set -- ALL ECDHE+AESGCM:ALL ECDHE+AES ALL:-ECDHE:ECDHE; shift $((RANDOM % 4)); echo $1)@SECLEVEL=0 -servername $NAME -connect $NAME:$PORT >/dev/null")
}
