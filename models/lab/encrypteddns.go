package main

// encryptedDNS is lookups over TLS and over HTTPS.
var encryptedDNS = label{name: "encrypted-dns", share: 2, programs: []program{
	{"dot-unbound-kdig", "", dotUnbound.with(lookedUp("kdig @$AT -p $PORT +tls"))},
	{"doh-unbound-kdig", "", dohUnbound.with(lookedUp("kdig @$AT -p $PORT +https"))},
	{"dot-dnsdist-kdig", calibration, dnsdist.with(lookedUp("kdig @$AT -p $PORT +tls"))},
	{"doh-dnsdist-kdig", test, dohDnsdist.with(lookedUp("kdig @$AT -p $PORT +https"))},
	{"doh-dnsdist-kdig-get", "", dohDnsdist.with(lookedUp("kdig @$AT -p $PORT +https-get"))},
	{"dot-kresd-kdig", "", kresd.with(lookedUp("kdig @$AT -p $PORT +tls"))},
	{"dot-unbound-stubby", "", dotUnbound.with(stubby)},
	{"dot-kresd-stubby", test, kresd.with(stubby)},
	{"doh-curl", "", dohUnbound.with(sh("for i in 1 2 3; do curl -sSk --doh-insecure --doh-url https://$AT:$PORT/dns-query --max-time 2 http://www$RANDOM.example.com/; done; true"))},
}}

const unboundZone = ` access-control: 0.0.0.0/0 allow
 do-daemonize: no
 use-syslog: no
 username: ""
 chroot: ""
 pidfile: ""
 num-threads: 1
 module-config: "iterator"
 local-zone: "example.com" redirect
 local-data: "example.com A 203.0.113.7"
 local-data: "example.com AAAA 2001:db8::7"
 tls-service-key: "$WORK/key.pem"
 tls-service-pem: "$WORK/cert.pem"
remote-control:
 control-enable: no
`

var (
	dotUnbound = service{over: "tcp", tls: true, run: []string{"exec unbound -d -c dot.conf"},
		files: map[string]string{"dot.conf": "server:\n interface: 0.0.0.0@$PORT\n tls-port: $PORT\n" + unboundZone}}
	dohUnbound = service{over: "tcp", tls: true, run: []string{"exec unbound -d -c doh.conf"},
		files: map[string]string{"doh.conf": "server:\n interface: 0.0.0.0@$PORT\n https-port: $PORT\n" + unboundZone}}
	dnsdist    = dnsdistWith("addTLSLocal('0.0.0.0:$PORT', '$WORK/cert.pem', '$WORK/key.pem')")
	dohDnsdist = dnsdistWith("addDOHLocal('0.0.0.0:$PORT', '$WORK/cert.pem', '$WORK/key.pem')")
	kresd      = service{over: "tcp", tls: true, run: []string{"exec kresd -n -c kresd.conf $WORK"},
		files: map[string]string{"kresd.conf": "net.listen('0.0.0.0', $PORT, {kind = 'tls'})\nnet.tls('$WORK/cert.pem', '$WORK/key.pem')\nmodules = {'hints > iterate'}\nhints['www.example.com'] = '203.0.113.7'\ncache.size = 4*MB\npolicy.add(policy.suffix(policy.ANSWER({[kres.type.A] = {rdata = kres.str2ip('203.0.113.7'), ttl = 300}}), policy.todnames({'example.com'})))\n"}}
)

func dnsdistWith(listen string) service {
	return service{over: "tcp", tls: true, files: map[string]string{"dnsdist.conf": listen + "\nsetLocal('127.0.0.1:5399')\naddAction(AllRule(), SpoofAction('203.0.113.7'))\n"},
		run: []string{"exec dnsdist --supervised -C dnsdist.conf"}}
}

// lookedUp asks for one name or a few over one connection.
func lookedUp(kdig string) use {
	return sh(`name() { echo $(set -- www api mail static.assets host$RANDOM updates; shift $((RANDOM % 6)); echo $1).example.com; }
for i in $(seq $((RANDOM % 3 + 1))); do `+kdig+` +time=3 +retry=1 $(name) A; sleep 0.$((RANDOM % 9)); done`,
		kdig+` +time=3 +retry=1 +keepopen www.example.com A mail.example.com AAAA api$RANDOM.example.com A static.example.com MX`)
}

// stubby is a forwarder on the client, which keeps its connection for a while.
var stubby = sh(`cat >stubby.yml <<END
resolution_type: GETDNS_RESOLUTION_STUB
dns_transport_list: [GETDNS_TRANSPORT_TLS]
tls_authentication: GETDNS_AUTHENTICATION_NONE
tls_query_padding_blocksize: $((RANDOM % 2 * 127 + 1))
idle_timeout: $((RANDOM % 4000 + 500))
listen_addresses: [127.0.0.1@5398]
upstream_recursive_servers: [{address_data: $AT, tls_port: $PORT}]
END
stubby -C stubby.yml & sleep 0.3
for i in $(seq $((RANDOM % 5 + 1))); do dig @127.0.0.1 -p 5398 +tries=1 +time=3 www$RANDOM.example.com A; sleep 0.$((RANDOM % 9)); done
kill %1`)
