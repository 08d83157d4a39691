package main

import (
	"fmt"
	"time"
)

// softEther is SoftEther's own protocol: Ethernet in TLS, also in datagrams where
// both ends find a way for them. The account of its client has more commands
// of vpncmd.
func softEther(more string) func(*lab) error {
	s := service{over: "tcp", inner: 8000, low: 1, top: 2, filter: "host $AT and (tcp port $PORT or (udp and not port 53 and not port 137))", files: map[string]string{
		"server.vpn": `ListenerCreate $PORT
HubCreate lab /PASSWORD:secret
BridgeCreate lab /DEVICE:ses /TAP:yes
Hub lab
UserCreate me /GROUP:none /REALNAME:none /NOTE:none
UserPasswordSet me /PASSWORD:secret
`,
		"client.vpn": "NicCreate vpn\nAccountCreate lab /SERVER:$AT:$PORT /HUB:lab /USERNAME:me /NICNAME:vpn\nAccountPasswordSet lab /PASSWORD:secret /TYPE:standard\n",
	}, prepare: `mkdir -p /var/lib/softether
mount -t tmpfs lab /var/lib/softether
mkdir -p /run/softether /var/log/softether
vpnserver start >&2
for i in $(seq 50); do vpncmd localhost:5555 /SERVER /IN:server.vpn >server.log && break; sleep 0.1; done
for i in $(seq 50); do ip link show tap_ses >/dev/null 2>&1 && break; sleep 0.1; done
ip address add 10.99.7.1/24 dev tap_ses
ip link set tap_ses mtu 1300 up`}
	return s.with(func(l *lab) error {
		// Its daemon is no child of this session's process and ends with the session.
		setup := `if [ ! -e joined ]; then
	vpnclient start >&2
	for i in $(seq 50); do vpncmd localhost /CLIENT /IN:client.vpn >client.log && break; sleep 0.1; done
	touch joined
fi
` + vpncmdClient(more) + `
vpncmd localhost /CLIENT /CMD AccountConnect lab >&2
ip address replace 10.99.7.2/24 dev vpn_vpn
ip link set vpn_vpn mtu 1300 up`
		if err := l.client.finish(l.script(l.client, setup)); err != nil {
			return err
		}
		reached := fmt.Errorf("no SoftEther tunnel")
		for range 12 {
			if reached = l.client.run("ping", "-q", "-c", "1", "-W", "1", innerServer); reached == nil {
				break
			}
		}
		if reached != nil {
			return reached
		}
		if err := l.useInner("", innerServer+":8000"); err != nil {
			return err
		}
		time.Sleep(time.Duration(l.between(0, 3)) * time.Second)
		return l.client.run("vpncmd", "localhost", "/CLIENT", "/CMD", "AccountDisconnect", "lab")
	})
}

func vpncmdClient(command string) string {
	if command == "" {
		return ""
	}
	return "vpncmd localhost /CLIENT /CMD " + command + " >&2"
}
