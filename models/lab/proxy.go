package main

import "strings"

// proxy is traffic through proxies, plain ones and such that hide what they are.
var proxy = label{name: "proxy", share: 4, programs: []program{
	{"trojan", "", behindProxy(true, "trojan -c $WORK/server.json", trojan)},
	{"vmess", "", v2ray(`"vmess"`, vmessServer, vmessClient, "")},
	{"vmess-ws", "", v2ray(`"vmess"`, vmessServer, vmessClient, `"network":"ws","wsSettings":{"path":"/chat"}`)},
	{"vmess-ws-tls", "", v2ray(`"vmess"`, vmessServer, vmessClient, `"network":"ws","security":"tls","tlsSettings":TLS,"wsSettings":{"path":"/live"}`)},
	{"vmess-tls", calibration, v2ray(`"vmess"`, vmessServer, vmessClient, `"network":"tcp","security":"tls","tlsSettings":TLS`)},
	{"vmess-http", "", v2ray(`"vmess"`, vmessServer, vmessClient, `"network":"tcp","tcpSettings":{"header":{"type":"http"}}`)},
	{"vmess-kcp", test, v2ray(`"vmess"`, vmessServer, vmessClient, `"network":"kcp","kcpSettings":{"header":{"type":"none"}}`)},
	{"vless-tls", "", v2ray(`"vless"`, vlessServer, vlessClient, `"network":"tcp","security":"tls","tlsSettings":TLS`)},
	{"vless-ws-tls", test, v2ray(`"vless"`, vlessServer, vlessClient, `"network":"ws","security":"tls","tlsSettings":TLS,"wsSettings":{"path":"/"}`)},
	{"vmess-http2", test, v2ray(`"vmess"`, vmessServer, vmessClient, `"network":"http","security":"tls","tlsSettings":TLS,"httpSettings":{"path":"/h2","host":["$NAME"]}`)},
	{"vmess-kcp-srtp", "", v2ray(`"vmess"`, vmessServer, vmessClient, `"network":"kcp","kcpSettings":{"header":{"type":"srtp"}}`)},
	{"vmess-quic", "", v2ray(`"vmess"`, vmessServer, vmessClient, `"network":"quic","security":"tls","tlsSettings":TLS,"quicSettings":{"security":"none"}`)},
	{"microsocks", "", plainProxy("socks5h", "microsocks -i 0.0.0.0 -p $PORT")},
	{"dante", test, plainProxy("socks5h", "danted -f $WORK/danted.conf")},
	{"socks4", "", plainProxy("socks4", "danted -f $WORK/danted.conf")},
	{"tinyproxy", "", plainProxy("http", "tinyproxy -d -c $WORK/tinyproxy.conf")},
	{"connect", "", httpConnect("tinyproxy -d -c $WORK/tinyproxy.conf")},
	{"privoxy", calibration, plainProxy("http", "privoxy --no-daemon $WORK/privoxy.conf")},
	{"squid", "", plainProxy("http", squid)},
	{"squid-connect", calibration, httpConnect(squid)},
	{"ncat-connect", test, httpConnect("ncat -l -k -p $PORT --proxy-type http")},
}}

var proxyConfigs = map[string]string{
	"danted.conf":    "logoutput: stderr\ninternal: wire port = $PORT\nexternal: lo\nexternal.rotation: none\nsocksmethod: none\nclientmethod: none\nuser.privileged: root\nuser.unprivileged: root\nclient pass { from: 0/0 to: 0/0 }\nsocks pass { from: 0/0 to: 0/0 }\n",
	"tinyproxy.conf": "Port $PORT\nTimeout 60\nLogLevel Info\nMaxClients 40\nConnectPort 7002\nConnectPort 7001\n",
	"squid.conf":     "http_port $PORT\nhttp_access allow all\ncache deny all\npid_filename none\naccess_log none\ncache_log /dev/stderr\ncoredump_dir /tmp\nshutdown_lifetime 0 seconds\npinger_enable off\nmax_filedescriptors 1024\n",
	"privoxy.conf":   "confdir /etc/privoxy\nlogdir /tmp\nlisten-address 0.0.0.0:$PORT\n",
}

const squid = "exec squid -N -f $WORK/squid.conf"

// plainProxy is a proxy that a client asks for plain pages.
func plainProxy(scheme, run string) func(*lab) error {
	s := service{over: "tcp", inner: 7001, files: proxyConfigs, run: []string{run}}
	return s.with(func(l *lab) error { return l.useInner(l.expand(scheme+"://$AT:$PORT"), "127.0.0.1:7001") })
}

// httpConnect is a proxy that is asked to connect to a page over TLS.
func httpConnect(run string) func(*lab) error {
	s := service{over: "tcp", tls: true, inner: 7001, files: proxyConfigs, run: []string{run,
		"socat OPENSSL-LISTEN:7002,reuseaddr,fork,cert=both.pem,verify=0 TCP:127.0.0.1:7001"}}
	return s.with(sh("curl -sSk --proxy http://$AT:$PORT -o /dev/null https://127.0.0.1:7002/item$((RANDOM % 6)) -o /dev/null https://127.0.0.1:7002/item$((RANDOM % 6))"))
}

// behindProxy is a proxy of two programs, whose client's end takes SOCKS on port 7000.
func behindProxy(overTLS bool, run string, files map[string]string) func(*lab) error {
	s := service{over: "tcp", tls: overTLS, inner: 7001, files: files, run: []string{run}}
	return s.with(through("socks5h", strings.ReplaceAll(run, "server", "client")))
}

var trojan = map[string]string{
	"server.json": `{"run_type":"server","local_addr":"0.0.0.0","local_port":$PORT,"remote_addr":"127.0.0.1","remote_port":7001,"password":["secret"],
"ssl":{"cert":"$WORK/cert.pem","key":"$WORK/key.pem","alpn":["http/1.1"]}}`,
	"client.json": `{"run_type":"client","local_addr":"127.0.0.1","local_port":7000,"remote_addr":"$AT","remote_port":$PORT,"password":["secret"],
"ssl":{"verify":false,"verify_hostname":false,"sni":"$NAME","alpn":["h2","http/1.1"]}}`,
}

const (
	uuid        = `"a3482e88-686a-4a58-8126-99c9df64b7bf"`
	vmessServer = `{"clients":[{"id":` + uuid + `,"alterId":0}]}`
	vmessClient = `{"vnext":[{"address":"$AT","port":$PORT,"users":[{"id":` + uuid + `,"alterId":0,"security":"auto"}]}]}`
	vlessServer = `{"clients":[{"id":` + uuid + `}],"decryption":"none"}`
	vlessClient = `{"vnext":[{"address":"$AT","port":$PORT,"users":[{"id":` + uuid + `,"encryption":"none"}]}]}`
)

// v2ray is V2Ray with one of its protocols over one of its transports.
func v2ray(protocol, server, client, stream string) func(*lab) error {
	at := func(tls string) string { return "{" + strings.Replace(stream, "TLS", tls, 1) + "}" }
	s := service{over: "tcp", tls: true, inner: 7001, files: map[string]string{
		"server.json": `{"log":{"loglevel":"warning"},"inbounds":[{"port":$PORT,"listen":"0.0.0.0","protocol":` + protocol + `,"settings":` + server + `,"streamSettings":` +
			at(`{"certificates":[{"certificateFile":"$WORK/cert.pem","keyFile":"$WORK/key.pem"}]}`) + `}],"outbounds":[{"protocol":"freedom","settings":{}}]}`,
		"client.json": `{"log":{"loglevel":"warning"},"inbounds":[{"port":7000,"listen":"127.0.0.1","protocol":"socks","settings":{"udp":false}}],"outbounds":[{"protocol":` +
			protocol + `,"settings":` + client + `,"streamSettings":` + at(`{"allowInsecure":true,"serverName":"$NAME"}`) + `}]}`,
	}, run: []string{"v2ray -config server.json"}}
	if strings.Contains(stream, "kcp") || strings.Contains(stream, "quic") {
		s.over = "udp"
	}
	return s.with(through("socks5h", "v2ray -config client.json"))
}
