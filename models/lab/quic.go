package main

// quic is HTTP/3 pages, and what else speaks QUIC.
var quic = label{name: "quic", programs: []program{
	{"ngtcp2", "", service{over: "udp", tls: true, pages: true, run: []string{"exec gtlsserver -q -d www 0.0.0.0 $PORT key.pem cert.pem"}}.with(
		sh("gtlsclient -q --exit-on-all-streams-close $AT $PORT https://$NAME:$PORT/page0.html https://$NAME:$PORT/page1.html",
			"gtlsclient -q --exit-on-first-stream-close $AT $PORT https://$NAME:$PORT/page2.html"))},
	{"caddy-ngtcp2", "", caddyH3.with(sh("gtlsclient -q --exit-on-all-streams-close $AT $PORT https://$NAME:$PORT/page0.html https://$NAME:$PORT/page2.html"))},
	{"caddy-chromium", test, caddyH3.with(chromiumQUIC)},
	{"caddy-chromium-pages", "", caddyH3.with(chromiumQUIC)},
	{"caddy-aioquic", "", caddyH3.with(aioquicClient)},
	{"aioquic-ngtcp2", calibration, aioquicServer.with(sh("gtlsclient -q --exit-on-all-streams-close $AT $PORT https://$NAME:$PORT/8000 https://$NAME:$PORT/$RANDOM"))},
	{"aioquic", test, aioquicServer.with(aioquicClient)},
}}

var caddyH3 = service{over: "udp", tls: true, pages: true, files: map[string]string{"Caddyfile": "{\n\tadmin off\n\thttp_port 7080\n\tauto_https disable_redirects\n\tservers {\n\t\tprotocols h1 h2 h3\n\t}\n}\nhttps://$NAME:$PORT {\n\ttls $WORK/cert.pem $WORK/key.pem\n\troot * $WORK/www\n\tfile_server\n}\n"},
	run: []string{"exec caddy run --config Caddyfile --adapter caddyfile"}}

func chromiumQUIC(l *lab) error {
	p, err := l.client.begin(l.script(l.client, `exec timeout 8 chromium --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --disable-background-networking \
--disable-component-update --disable-sync --disable-extensions --disable-default-apps --ignore-certificate-errors --user-data-dir=/tmp/chromium$RANDOM --enable-quic \
--origin-to-force-quic-on=$NAME:$PORT --explicitly-allowed-ports=$PORT --ignore-certificate-errors-spki-list=$(openssl x509 -in cert.pem -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64) \
--dump-dom https://$NAME:$PORT/page$((RANDOM % 3)).html >/dev/null`))
	if err != nil {
		return err
	}
	<-p.done
	return nil
}

// python3 of the virtual environment that install.sh makes for what only PyPI has.
const venv = "/opt/serveflow-lab/bin/python3"

var aioquicServer = service{over: "udp", tls: true, files: map[string]string{"h3.py": `import asyncio, sys
from aioquic.asyncio import serve, QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ProtocolNegotiated
class P(QuicConnectionProtocol):
    def quic_event_received(self, e):
        if isinstance(e, ProtocolNegotiated): self.h = H3Connection(self._quic)
        for x in getattr(self, "h", None).handle_event(e) if hasattr(self, "h") else ():
            if isinstance(x, HeadersReceived):
                path = dict(x.headers)[b":path"].strip(b"/")
                self.h.send_headers(x.stream_id, [(b":status", b"200"), (b"server", b"aioquic")])
                self.h.send_data(x.stream_id, b"x" * int(path if path.isdigit() else 900), True)
        self.transmit()
c = QuicConfiguration(alpn_protocols=H3_ALPN, is_client=False)
c.load_cert_chain("cert.pem", "key.pem")
async def main():
    await serve("0.0.0.0", int(sys.argv[1]), configuration=c, create_protocol=P)
    await asyncio.Future()
asyncio.run(main())
`}, run: []string{"exec " + venv + " h3.py $PORT"}}

var aioquicClient = sh(venv + ` -c "
import asyncio, ssl, random
from aioquic.asyncio import connect, QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.quic.configuration import QuicConfiguration
c = QuicConfiguration(alpn_protocols=H3_ALPN, server_name='$NAME', verify_mode=ssl.CERT_NONE)
async def main():
    async with connect('$AT', $PORT, configuration=c) as p:
        h = H3Connection(p._quic)
        for i in range(random.randint(1, 4)):
            s = p._quic.get_next_available_stream_id()
            h.send_headers(s, [(b':method', b'GET'), (b':scheme', b'https'), (b':authority', b'$NAME'), (b':path', random.choice([b'/4000', b'/page0.html', b'/page1.html', b'/60000']))], True)
            p.transmit(); await asyncio.sleep(0.3 + random.random())
asyncio.run(asyncio.wait_for(main(), 8))"`)
