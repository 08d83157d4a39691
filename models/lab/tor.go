package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// tor is what a Tor client and its relay say to each other, over TLS, and what
// obfs4proxy makes of it or of other traffic.
var tor = label{name: "tor", share: 2, programs: []program{
	{"tor", "", torNetwork.with(torClient("", "tcp"))},
	{"tor-bridge", "", torNetwork.with(torClient("UseBridges 1\nBridge $AT:$PORT\n", ""))},
	{"obfs4", "", obfuscated("obfs4", 0)},
	{"obfs3", calibration, obfuscated("obfs3", 0)},
	{"obfs4-iat", test, obfuscated("obfs4", 1)},
	{"tor-socks-tls", test, torNetwork.with(torClient("UseBridges 1\nBridge $AT:$PORT\nConnectionPadding 1\n", "tls"))},
}}

const torCommon = `TestingTorNetwork 1
EnforceDistinctSubnets 0
PathsNeededToBuildCircuits 0.25
`

const torRelay = torCommon + `AssumeReachable 1
Address $AT
ShutdownWaitLength 0
ExitRelay 1
ExitPolicy accept *:*
ExitPolicyRejectPrivate 0
ContactInfo lab
SocksPort 0
`

// torNetwork is an authority and two relays on the server, the first relay at the
// session's port.
var torNetwork = service{over: "tcp", inner: 7001, filter: "tcp and host $AT", low: 1, top: 2,
	files: map[string]string{
		"empty": "",
		"authority.conf": torRelay + `Nickname authority
ORPort 5000
DirPort 7010
DataDirectory $WORK/authority
AuthoritativeDirectory 1
V3AuthoritativeDirectory 1
TestingDirAuthVoteExit *
TestingDirAuthVoteHSDir *
TestingDirAuthVoteGuard *
TestingMinExitFlagThreshold 0
V3AuthVotingInterval 20
V3AuthVoteDelay 2
V3AuthDistDelay 2
TestingV3AuthInitialVotingInterval 5
TestingV3AuthInitialVoteDelay 2
TestingV3AuthInitialDistDelay 2
`,
		"relay1.conf": torRelay + "Nickname relay1\nORPort $PORT\nDataDirectory $WORK/relay1\n",
		"relay2.conf": torRelay + "Nickname relay2\nORPort 5002\nDataDirectory $WORK/relay2\n",
	},
	prepare: `set -e
mkdir -m 700 authority authority/keys relay1 relay2
keys=authority/keys
echo secret | tor-gencert --create-identity-key --passphrase-fd 0 -m 12 -a $AT:7010 -i $keys/authority_identity_key -s $keys/authority_signing_key -c $keys/authority_certificate
id=$(awk '/^fingerprint/{print $2}' $keys/authority_certificate)
print=$(tor -f empty --defaults-torrc empty --hush --DataDirectory $WORK/authority --list-fingerprint --ORPort 5000 --Nickname authority --Address $AT \
	--TestingTorNetwork 1 --DirAuthority "x orport=5000 v3ident=$id $AT:7010 ABCDABCDABCDABCDABCDABCDABCDABCDABCDABCD" 2>/dev/null | tail -n 1 | cut -d' ' -f2- | tr -d ' ')
echo "DirAuthority authority orport=5000 no-v2 v3ident=$id $AT:7010 $print" >known
for r in authority relay1 relay2; do
	cat known >>$r.conf
	tor -f $r.conf --defaults-torrc empty >$r.log 2>&1 &
done
for i in $(seq 80); do
	[ "$(grep -c '^r ' authority/cached-microdesc-consensus 2>/dev/null)" = 3 ] && exit
	sleep 0.2
done
tail *.log
exit 1`,
}

// torClient fetches pages through the network: from a new client or one that
// knows the network already.
func torClient(more, inside string) use {
	return func(l *lab) error {
		known, err := os.ReadFile("known")
		if err != nil {
			return err
		}
		l.write("client.conf", torCommon+"ClientRejectInternalAddresses 0\nSocksPort 127.0.0.1:7000\nDataDirectory "+work+"/client\n"+string(known)+l.expand(more))
		p, err := l.client.start("tor", "-f", "client.conf", "--defaults-torrc", "empty")
		if err != nil {
			return err
		}
		defer p.stop(syscall.SIGKILL)
		if err := l.client.listens("tcp", 7000); err != nil {
			return err
		}
		if err := l.useInner("socks5h://127.0.0.1:7000", "127.0.0.1:7001"); err != nil {
			fmt.Fprintln(l.log, err) // it takes its time
		}
		l.pause(300, 4000)
		return nil
	}
}

// obfuscated is obfs4proxy at both ends, as Tor would run it, with plain pages or
// TLS inside.
func obfuscated(transport string, iat int) func(*lab) error {
	s := service{over: "tcp", tls: true, inner: 7001, run: []string{
		"socat OPENSSL-LISTEN:7002,reuseaddr,fork,cert=both.pem,verify=0 TCP:127.0.0.1:7001",
		fmt.Sprintf(`[ $((RANDOM %% 2)) = 0 ] && to=7001 || to=7002
echo $to >leads
TOR_PT_MANAGED_TRANSPORT_VER=1 TOR_PT_EXIT_ON_STDIN_CLOSE=0 TOR_PT_STATE_LOCATION=$WORK/pt-server TOR_PT_SERVER_TRANSPORTS=%s TOR_PT_ORPORT=127.0.0.1:$to \
TOR_PT_SERVER_BINDADDR=%s-0.0.0.0:$PORT TOR_PT_SERVER_TRANSPORT_OPTIONS=%s:iat-mode=%d exec obfs4proxy >pt-server.log`, transport, transport, transport, iat),
	}}
	return s.with(func(l *lab) error {
		os.Remove("pt-client.log") // of an earlier client
		p, err := l.client.begin(l.script(l.client, "TOR_PT_MANAGED_TRANSPORT_VER=1 TOR_PT_EXIT_ON_STDIN_CLOSE=0 TOR_PT_STATE_LOCATION=$WORK/pt-client TOR_PT_CLIENT_TRANSPORTS="+
			transport+" exec obfs4proxy >pt-client.log"))
		if err != nil {
			return err
		}
		defer p.stop(syscall.SIGTERM)
		address := ""
		for range 100 {
			text, _ := os.ReadFile("pt-client.log")
			if _, after, ok := strings.Cut(string(text), "CMETHOD "+transport+" socks5 "); ok && strings.Contains(after, "\n") {
				address, _, _ = strings.Cut(after, "\n")
				break
			}
			time.Sleep(30 * time.Millisecond)
		}
		bridge, _ := os.ReadFile("pt-server/obfs4_bridgeline.txt")
		cert := ""
		for _, field := range strings.Fields(string(bridge)) {
			if strings.HasPrefix(field, "cert=") {
				cert = field
			}
		}
		args := []string{"-sSk", "--max-time", "12", "--proxy", "socks5://" + address, "-o", "/dev/null"}
		if transport == "obfs4" { // the user's name and password are one text
			args = append(args, "--proxy-user", fmt.Sprintf("%s;iat-mode=:%d", cert, iat))
		}
		scheme := "http"
		if leads, _ := os.ReadFile("leads"); strings.TrimSpace(string(leads)) == "7002" {
			scheme = "https"
		}
		for range l.between(1, 4) {
			if err := l.client.run("curl", append(args, fmt.Sprintf("%s://%s:%d/%s", scheme, l.Server.Address, l.Port, one(l, "item0", "item1", "item2", "item3", "item4", "large")))...); err != nil {
				return err
			}
			l.pause(50, 900)
		}
		return nil
	})
}
