package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// spice is a screen, a keyboard and a mouse far away by SPICE, of a virtual machine
// whose program writes characters on its screen. Each session is several connections.
var spice = label{name: "spice", programs: []program{
	{"spicy", "", screen(qemu("port=$PORT,disable-ticketing=on"), spicy(""))},
	{"spicy-password", "", screen(qemu("port=$PORT,password-secret=ticket"), spicy("-w secret"))},
	{"spicy-tls", calibration, screen(qemu("tls-port=$PORT,disable-ticketing=on,x509-cert-file=cert.pem,x509-key-file=key.pem,x509-cacert-file=ca.pem"), spicy("tls"))},
	{"remote-viewer", test, screen(qemu("port=$PORT,disable-ticketing=on"), remoteViewer)},
}}

// screen serves a screen and records who watches it.
func screen(serve func(*lab) error, view func(*lab) (*process, error)) func(*lab) error {
	return func(l *lab) error {
		if err := serve(l); err != nil {
			return err
		}
		if err := l.server.listens("tcp", l.Port); err != nil {
			return err
		}
		return l.watch(view, 1, 2)
	}
}

// guest is a boot sector: it sets the text mode and writes a character with each
// tick of the clock.
const guest = "\xfb\xb8\x03\x00\xcd\x10\xbb\x07\x00\xf4\xe4\x40\x24\x3f\x04\x20\xb4\x0e\xcd\x10\xeb\xf3"

// qemu is a virtual machine that shows its screen by SPICE.
func qemu(options string) func(*lab) error {
	return func(l *lab) error {
		id, err := l.identity()
		if err != nil {
			return err
		}
		l.name = id.name
		sector := make([]byte, 512)
		copy(sector, guest)
		sector[510], sector[511] = 0x55, 0xaa
		l.write("guest.img", string(sector))
		_, err = l.server.begin(l.script(l.server, fmt.Sprintf(`exec qemu-system-x86_64 -machine pc,accel=tcg -m 16 -nodefaults -no-user-config -display none -device qxl-vga \
-drive file=guest.img,format=raw,if=floppy -object secret,id=ticket,data=secret \
-spice addr=0.0.0.0,%s,image-compression=%s,streaming-video=%s`, options, one(l, "auto_glz", "auto_lz", "quic", "off"), one(l, "filter", "off"))))
		return err
	}
}

func spicy(options string) func(*lab) (*process, error) {
	return func(l *lab) (*process, error) {
		at := "-h $AT -p $PORT " + options
		if options == "tls" {
			at = "-h $NAME -s $PORT --spice-ca-file=ca.pem"
		}
		return l.viewer("spicy "+at, connected)
	}
}

func remoteViewer(l *lab) (*process, error) {
	return l.viewer("remote-viewer spice://$AT:$PORT", connected)
}

// connected tells whether a viewer has its connections, of which SPICE has several.
func connected(l *lab) bool { return l.client.connections(l.Port) > 2 }

// viewer starts a program that shows something on the client's display, and waits
// until it does: it starts slowly.
func (l *lab) viewer(script string, shows func(*lab) bool) (*process, error) {
	c := l.script(l.client, "exec "+script)
	c.Env = append(c.Env, "DISPLAY="+clientDisplay)
	p, err := l.client.begin(c)
	if err != nil {
		return nil, err
	}
	for range 250 {
		time.Sleep(100 * time.Millisecond)
		if shows(l) {
			return p, nil
		}
	}
	return nil, fmt.Errorf("%s shows nothing", script)
}

// connections is how many the host has to a port elsewhere.
func (h *host) connections(port int) (n int) {
	remote := fmt.Sprintf(":%04X", port)
	h.inside(func() error {
		text, err := os.ReadFile("/proc/thread-self/net/tcp")
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) > 3 && strings.HasSuffix(f[2], remote) && f[3] == "01" {
				n++
			}
		}
		return err
	})
	return n
}
