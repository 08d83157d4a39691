package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// openVPN is OpenVPN over UDP and TCP, with pages and pings inside.
var openVPN = label{name: "openvpn", programs: []program{
	{"udp", "", openvpn("udp", "")},
	{"tcp", "", openvpn("tcp", "")},
	{"udp-auth", "", openvpn("udp", "tls-auth")},
	{"tcp-crypt", calibration, openvpn("tcp", "tls-crypt")},
	{"udp-crypt", test, openvpn("udp", "tls-crypt")},
	{"tcp-auth", test, openvpn("tcp", "tls-auth")},
	{"udp-crypt-v2", "", openvpn("udp", "tls-crypt-v2")},
	{"tcp-crypt-v2", "", openvpn("tcp", "tls-crypt-v2")},
	{"udp-auth-cbc", "", openvpn("udp", "tls-auth", "AES-256-CBC", "AES-128-CBC")},
	{"tcp-cbc", test, openvpn("tcp", "", "AES-256-CBC", "CAMELLIA-256-CBC")},
	{"tcp-auth-cbc", "", openvpn("tcp", "tls-auth", "AES-128-CBC")},
	{"udp-crypt-cbc", calibration, openvpn("udp", "tls-crypt", "AES-192-CBC")},
}}

// wireGuard is WireGuard as wireguard-go speaks it, which needs no kernel that does.
var wireGuard = label{name: "wireguard", programs: []program{
	{"plain", "", wireguard("")},
	{"keepalive", "", wireguard("PersistentKeepalive = 1\n")},
	{"preshared", test, wireguard("PresharedKey = %s\n")},
}}

const (
	innerServer = "10.99.7.1" // addresses inside a tunnel
	innerClient = "10.99.7.2"
)

// openvpn wraps its handshake as extra says, if anything, and uses one of the ciphers.
func openvpn(protocol, extra string, ciphers ...string) func(*lab) error {
	if len(ciphers) == 0 {
		ciphers = []string{"AES-256-GCM", "AES-128-GCM", "CHACHA20-POLY1305"}
	}
	return func(l *lab) error {
		if _, err := l.identity(); err != nil {
			return err
		}
		common := fmt.Sprintf("dev tun\ntopology subnet\npersist-key\ncipher AES-256-GCM\ndata-ciphers %s\nauth SHA256\nverb 1\nkeepalive %d 60\ncert cert.pem\nkey key.pem\nca ca.pem\n",
			one(l, ciphers...), l.between(1, 10))
		if extra != "" {
			make := "openvpn --genkey secret ta.key"
			if extra == "tls-crypt-v2" {
				make = "openvpn --genkey tls-crypt-v2-server ta.key && openvpn --tls-crypt-v2 ta.key --genkey tls-crypt-v2-client ta.key.client"
			}
			if err := l.client.run("sh", "-c", make); err != nil {
				return err
			}
			direction := map[string]string{"tls-auth": " 0", "tls-crypt": ""}[extra]
			common += extra + " ta.key" + direction + "\n"
		}
		common += one(l, "", "tun-mtu 1400\n", "mssfix 1300\n")
		server := l.write("server.ovpn", common+"port %d\nproto %s\nserver 10.99.7.0 255.255.255.0\ndh none\nduplicate-cn\n",
			l.Port, map[string]string{"udp": "udp4", "tcp": "tcp4-server"}[protocol])
		client := l.write("client.ovpn", strings.NewReplacer("ta.key 0", "ta.key 1", "v2 ta.key", "v2 ta.key.client").Replace(common)+"client\nremote %s %d\nproto %s\nnobind\n",
			l.Server.Address, l.Port, map[string]string{"udp": "udp4", "tcp": "tcp4-client"}[protocol])
		if _, err := l.server.start("openvpn", "--config", server); err != nil {
			return err
		}
		if err := l.server.listens(protocol, l.Port); err != nil {
			return err
		}
		if err := l.inner(8000); err != nil {
			return err
		}
		if err := l.capture("%s port %d", protocol, l.Port); err != nil {
			return err
		}
		return l.some(2, 3, func(int) error {
			p, err := l.client.start("openvpn", "--config", client)
			if err != nil {
				return err
			}
			defer p.stop(syscall.SIGTERM)
			return l.throughTunnel("tun0")
		})
	}
}

// throughTunnel uses the server's end of a tunnel once the client's is up.
func (l *lab) throughTunnel(device string) error {
	if err := l.waitForDevice(device); err != nil {
		return err
	}
	l.pause(50, 1000)
	if l.rng.IntN(3) == 0 {
		if err := l.client.run("ping", "-q", "-c", fmt.Sprint(l.between(2, 6)), "-i", "0.3", "-s", fmt.Sprint(l.between(16, 1200)), innerServer); err != nil {
			return err
		}
	}
	return l.useInner("", innerServer+":8000")
}

func wireguard(extra string) func(*lab) error {
	return func(l *lab) error {
		keys := make([]string, 5) // private and public, of both ends; preshared
		for i := 0; i < 4; i += 2 {
			private, err := exec.Command("wg", "genkey").Output()
			if err != nil {
				return err
			}
			c := exec.Command("wg", "pubkey")
			c.Stdin = strings.NewReader(string(private))
			public, err := c.Output()
			if err != nil {
				return err
			}
			keys[i], keys[i+1] = strings.TrimSpace(string(private)), strings.TrimSpace(string(public))
		}
		shared, err := exec.Command("wg", "genpsk").Output()
		if err != nil {
			return err
		}
		peer := extra
		if strings.Contains(extra, "%s") {
			peer = fmt.Sprintf(extra, strings.TrimSpace(string(shared)))
		}
		up := func(h *host, device, conf, address string) error {
			if err := h.run("wireguard-go", device); err != nil {
				return err
			}
			for _, args := range [][]string{
				{"wg", "setconf", device, conf},
				{"ip", "address", "add", address + "/24", "dev", device},
				{"ip", "link", "set", device, "mtu", fmt.Sprint(l.between(1250, 1380)), "up"},
			} {
				if err := h.run(args[0], args[1:]...); err != nil {
					return err
				}
			}
			return nil
		}
		os.MkdirAll("/run/wireguard", 0o700)
		server := l.write("server.conf", "[Interface]\nPrivateKey = %s\nListenPort = %d\n[Peer]\nPublicKey = %s\nAllowedIPs = %s/32\n%s",
			keys[0], l.Port, keys[3], innerClient, strings.Replace(peer, "PersistentKeepalive = 1\n", "", 1))
		client := l.write("client.conf", "[Interface]\nPrivateKey = %s\n[Peer]\nPublicKey = %s\nAllowedIPs = 10.99.7.0/24\nEndpoint = %s:%d\n%s",
			keys[2], keys[1], l.Server.Address, l.Port, peer)
		if err := up(l.server, "wgs", server, innerServer); err != nil {
			return err
		}
		if err := l.inner(8000); err != nil {
			return err
		}
		if err := l.captureUDP(); err != nil {
			return err
		}
		return l.some(2, 3, func(i int) error {
			device := fmt.Sprintf("wgc%d", i)
			if err := up(l.client, device, client, innerClient); err != nil {
				return err
			}
			defer l.client.run("ip", "link", "del", device)
			return l.throughTunnel(device)
		})
	}
}
