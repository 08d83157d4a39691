package main

import "strings"

// ipsec is IKE and ESP inside of UDP, as strongSwan speaks them; ESP is that of its
// own library, not the kernel's.
var ipsec = label{name: "ipsec", reached: true, share: 2, programs: []program{
	{"ikev2-psk", "", strongSwan("version = 2", "secret", "")},
	{"ikev1-main", "", strongSwan("version = 1", "secret", "")},
	{"ikev1-aggressive", calibration, strongSwan("version = 1\n aggressive = yes", "secret", "")},
	{"ikev2-rekey", test, strongSwan("version = 2\n rekey_time = 3s", "secret", "rekey_time = 4s\n")},
	{"ikev2-failed", "", strongSwan("version = 2", "another", "")},
	{"ikev2-legacy", test, strongSwan("version = 2\n proposals = aes128-sha1-modp1024,aes128-sha256-modp2048", "secret", "esp_proposals = aes128-sha1\n")},
}}

func strongSwan(version, secret, child string) func(*lab) error {
	if !strings.Contains(child, "esp_proposals") { // the library has no GCM without OpenSSL's plugin
		child += "esp_proposals = aes256-sha256,aes128-sha256,chacha20poly1305\n"
	}
	conf := func(mine, other, ts, otherTS, key string) string {
		return "connections { lab {\n " + version + "\n remote_addrs = " + other + "\n local_addrs = " + mine + "\n encap = yes\n mobike = no\n dpd_delay = 2s\n" +
			" local { auth = psk }\n remote { auth = psk }\n" +
			" children { net {\n local_ts = " + ts + "\n remote_ts = " + otherTS + "\n " + child + " } }\n} }\n" +
			"secrets {\n ike-lab { secret = " + key + " }\n}\n"
	}
	daemon := func(end string) string {
		return "charon-systemd {\n install_routes = yes\n port = 500\n port_nat_t = 4500\n retransmit_tries = 2\n retransmit_timeout = 1\n load = random nonce kdf aes chapoly sha1 sha2 hmac gmp curve25519 pem pkcs1 pkcs8 x509 pubkey constraints revocation kernel-libipsec kernel-netlink socket-default vici updown\n" +
			" plugins { vici { socket = unix://$WORK/" + end + ".vici } kernel-libipsec { load = yes\n allow_peer_ts = yes } }\n}\n"
	}
	s := service{inner: 8000, filter: "udp and host $AT", low: 1, top: 2, files: map[string]string{
		"s.strongswan": daemon("s"), "c.strongswan": daemon("c"),
		"s.conf": conf("$AT", "%any", "10.99.7.1/32", "10.99.7.2/32", "secret"),
		"c.conf": conf("$HERE", "$AT", "10.99.7.2/32", "10.99.7.1/32", secret),
	}, prepare: `ip address add 10.99.7.1/32 dev lo
STRONGSWAN_CONF=$WORK/s.strongswan charon-systemd >s.log 2>&1 &
for i in $(seq 40); do [ -S s.vici ] && break; sleep 0.1; done
STRONGSWAN_CONF=$WORK/s.strongswan swanctl --load-all --file s.conf --uri unix://$WORK/s.vici`}
	return s.with(sh(`ip address add 10.99.7.2/32 dev lo 2>/dev/null
rm -f c.vici
STRONGSWAN_CONF=$WORK/c.strongswan charon-systemd >c.log 2>&1 & charon=$!
for i in $(seq 40); do [ -S c.vici ] && break; sleep 0.1; done
export STRONGSWAN_CONF=$WORK/c.strongswan
swanctl --load-all --file c.conf --uri unix://$WORK/c.vici
timeout 4 swanctl --initiate --child net --uri unix://$WORK/c.vici
ping -q -c $((RANDOM % 5 + 1)) -i 0.3 -W 1 -I 10.99.7.2 10.99.7.1
curl -sS --interface 10.99.7.2 --max-time 3 -o /dev/null http://10.99.7.1:8000/item$((RANDOM % 6))
sleep 0.$((RANDOM % 9))
[ $((RANDOM % 2)) = 0 ] && timeout 2 swanctl --terminate --ike lab --uri unix://$WORK/c.vici
kill $charon; wait`))
}
