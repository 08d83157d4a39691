package main

import (
	"fmt"
	"syscall"
	"time"
)

// registrar is Kamailio, with which phones register, by a password, and which
// finds them for each other.
var registrar = service{over: "tcp", filter: "host $AT and (tcp or udp)", files: map[string]string{"kamailio.cfg": `#!KAMAILIO
debug=0
log_stderror=yes
children=2
tcp_children=2
auto_aliases=no
listen=udp:$AT:$PORT
listen=tcp:$AT:$PORT
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/"
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "auth.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
modparam("usrloc", "db_mode", 0)
request_route {
  if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
  if (is_method("OPTIONS")) { sl_send_reply("200", "OK"); exit; }
  if (is_method("REGISTER")) {
    if (!pv_www_authenticate("lab", "secret", "0")) { www_challenge("lab", "1"); exit; }
    save("location");
    exit;
  }
  if (is_method("MESSAGE")) { sl_send_reply("202", "Accepted"); exit; }
  if (has_totag()) {
    if (loose_route() || is_method("ACK")) { t_relay(); }
    exit;
  }
  if (is_method("CANCEL")) { if (t_check_trans()) { t_relay(); } exit; }
  record_route();
  if (!lookup("location")) { sl_send_reply("404", "Not Found"); exit; }
  t_relay();
}
`, "register.xml": sippRegister}, run: []string{"exec kamailio -DD -E -f kamailio.cfg -Y $WORK -m 16 -M 4"}}

// sippRegister registers, answers the challenge, says that it is still there and
// takes itself back.
const sippRegister = `<?xml version="1.0" encoding="ISO-8859-1"?>
<!DOCTYPE scenario SYSTEM "sipp.dtd">
<scenario name="register">
` + sippSend + `  <recv response="401" auth="true"/>
` + sippAuthenticated + `  <recv response="200"/>
  <pause milliseconds="700"/>
` + sippAuthenticated + `  <recv response="200" optional="true" next="1"/>
  <recv response="401" auth="true"/>
  <label id="1"/>
</scenario>
`

const (
	sippSend          = sippBegin + sippEnd
	sippAuthenticated = sippBegin + "[authentication username=phone password=secret]\n" + sippEnd

	sippBegin = `  <send retrans="500"><![CDATA[
REGISTER sip:[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:phone@[remote_ip]:[remote_port]>;tag=[pid]lab[call_number]
To: <sip:phone@[remote_ip]:[remote_port]>
Call-ID: [call_id]
CSeq: [cseq] REGISTER
Contact: <sip:phone@[local_ip]:[local_port];transport=[transport]>
`
	sippEnd = `Max-Forwards: 70
Expires: 300
User-Agent: phone
Content-Length: 0
]]></send>
`
)

func register(transport string) func(*lab) error {
	return registrar.with(sh("timeout -s KILL 8 sipp -sf register.xml -i $HERE -p $((RANDOM % 20000 + 10000)) -t " + transport + " -m $((RANDOM % 3 + 1)) -r 1 -rp 700 -nostdin $AT:$PORT >/dev/null"))
}

// sipsak registers, asks whether the server is there and leaves messages.
var sipsak = registrar.with(sh("sipsak -H $HERE -U -s sip:phone$((RANDOM % 9))@$AT:$PORT -a secret -x $((RANDOM % 300 + 60))",
	"for i in $(seq $((RANDOM % 4 + 1))); do sipsak -H $HERE -s sip:$AT:$PORT; sleep 0.$((RANDOM % 9)); done",
	"sipsak -H $HERE -M -s sip:phone@$AT:$PORT -B 'How do you do, '$RANDOM"))

// registeredCalls has two phones register, one on each host, and the client's
// call the other by its name.
func registeredCalls(l *lab) error {
	if err := registrar.start(l); err != nil {
		return err
	}
	l.voice()
	account := func(user string) string { return fmt.Sprintf("sip:%s@%s:%d", user, l.Server.Address, l.Port) }
	const options = "regint=60;auth_user=phone;auth_pass=secret"
	answering, err := l.phone(l.server, "phone", account("bob"), l.Port%1000+8500, options, "")
	if err != nil {
		return err
	}
	defer answering.stop(syscall.SIGTERM)
	if err := l.capture("host %s and udp", l.Server.Address); err != nil {
		return err
	}
	l.pause(800, 1500) // until the other has registered
	return l.some(1, 2, func(i int) error {
		p, err := l.phone(l.client, fmt.Sprintf("caller%d", i), account("alice"), 20000+l.rng.IntN(10000), options, "/dial "+account("bob"))
		if err != nil {
			return err
		}
		select {
		case <-p.done:
		case <-time.After(10 * time.Second):
			p.stop(syscall.SIGTERM)
		}
		return nil
	})
}
