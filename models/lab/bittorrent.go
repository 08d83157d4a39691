package main

import (
	"context"
	"crypto/sha1"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// bitTorrent is peers that get a file from each other.
var bitTorrent = label{name: "bittorrent", reached: true, programs: []program{
	{"aria2", "", torrent(aria2, aria2)},
	{"transmission", "", torrent(transmission, transmission)},
	{"aria2-transmission", "", torrent(aria2, transmission)},
	{"transmission-aria2", calibration, torrent(transmission, aria2)},
	{"ctorrent", test, torrent(aria2, ctorrent)},
}}

const trackerPort = 6999 // on the loopback of either host, and so never recorded

// A peer shares or gets lab.torrent in a directory.
type peer func(l *lab, h *host, dir string, port int) (*process, error)

func aria2(l *lab, h *host, dir string, port int) (*process, error) {
	return h.start("aria2c", "-q", "-d", dir, "--seed-ratio=0.0", "--check-integrity=true", fmt.Sprintf("--listen-port=%d", port),
		"--enable-dht="+one(l, "true", "false"), fmt.Sprintf("--dht-listen-port=%d", port), "--dht-file-path="+dir+"/dht", "--bt-enable-lpd=false",
		"--bt-require-crypto="+map[bool]string{true: "true", false: "false"}[l.encrypts()], "--allow-overwrite=true", "lab.torrent")
}

func transmission(l *lab, h *host, dir string, port int) (*process, error) {
	// aria2 has no µTP, and trying it first takes longer than a session.
	utp := l.Program == "transmission" && l.Seed%3 > 0
	l.write(filepath.Base(dir)+"-state/settings.json", `{"utp-enabled": %t}`, utp)
	mode := map[bool]string{true: "-er", false: "-ep"}[l.encrypts()]
	return h.start("transmission-cli", "-w", dir, "-g", dir+"-state", "-p", fmt.Sprint(port), "-M", mode, "lab.torrent")
}

// encrypts tells whether the session's peers insist on encryption, which both
// must agree about.
func (l *lab) encrypts() bool { return l.Seed&8 == 0 && l.Program != "ctorrent" } // which cannot

func ctorrent(l *lab, h *host, dir string, port int) (*process, error) {
	return h.start("ctorrent", "-s", dir+"/shared", "-p", fmt.Sprint(port), "-e", "1", "lab.torrent")
}

func torrent(seed, leech peer) func(*lab) error {
	return func(l *lab) error {
		l.data("seed/shared", l.size(100_000, 1<<20))
		if err := l.server.run("mktorrent", "-l", fmt.Sprint(l.between(15, 17)), "-a", fmt.Sprintf("http://127.0.0.1:%d/announce", trackerPort), "-o", "lab.torrent", "seed/shared"); err != nil {
			return err
		}
		seedPort := netip.AddrPortFrom(netip.MustParseAddr(l.Server.Address), uint16(l.Port))
		for h, others := range map[*host][]netip.AddrPort{l.server: nil, l.client: {seedPort}} {
			if err := l.tracker(h, others); err != nil {
				return err
			}
		}
		port := l.Port
		if port < 1024 { // which aria2 refuses
			port = 6900
			l.servesOnly(port)
		}
		s, err := seed(l, l.server, work+"/seed", port)
		if err != nil {
			return err
		}
		defer s.stop(syscall.SIGTERM)
		if err := l.server.listens("tcp", port); err != nil {
			return err
		}
		time.Sleep(500 * time.Millisecond) // it checks what it has
		if err := l.capture("host %s and (tcp or udp)", l.Server.Address); err != nil {
			return err
		}
		return l.some(2, 2, func(i int) error {
			dir := fmt.Sprintf("%s/leech%d", work, i)
			os.MkdirAll(dir, 0o755)
			p, err := leech(l, l.client, dir, 20000+l.rng.IntN(10000))
			if err != nil {
				return err
			}
			defer p.stop(syscall.SIGTERM)
			for range 140 { // seeds let peers in every ten seconds
				time.Sleep(100 * time.Millisecond)
				select {
				case <-p.done:
					return p.err
				default:
				}
				if same(work+"/seed/shared", dir+"/shared") {
					break
				}
			}
			l.pause(200, 1500)
			return nil
		})
	}
}

// same tells whether two files have the same content.
func same(a, b string) bool {
	x, errX := os.ReadFile(a)
	y, errY := os.ReadFile(b)
	return errX == nil && errY == nil && sha1.Sum(x) == sha1.Sum(y)
}

// tracker answers announcements on a host's loopback with the peers elsewhere
// (BEP 3 and 23).
func (l *lab) tracker(h *host, peers []netip.AddrPort) error {
	var compact strings.Builder
	for _, p := range peers {
		ip := p.Addr().As4()
		compact.Write(ip[:])
		compact.Write([]byte{byte(p.Port() >> 8), byte(p.Port())})
	}
	answer := fmt.Sprintf("d8:intervali60e5:peers%d:%se", compact.Len(), compact.String())
	return h.inside(func() error {
		listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", fmt.Sprintf("127.0.0.1:%d", trackerPort))
		if err != nil {
			return err
		}
		go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, answer) }))
		return nil
	})
}
