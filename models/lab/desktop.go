package main

import (
	"fmt"
	"syscall"
	"time"
)

// vnc and rdp are a screen, a keyboard and a mouse far away by one protocol each;
// remote-desktop, which has been there before them, mixes both.
var (
	vnc = label{name: "vnc", programs: []program{
		{"tightvnc", "", remoteDesktop(tightVNC, tightViewer)},
		{"tigervnc-none", "", remoteDesktop(tigerVNC("None"), vncViewer)},
		{"tigervnc-tightviewer", "", remoteDesktop(tigerVNC("VncAuth"), tightViewer)},
		{"x11vnc-tightviewer", calibration, remoteDesktop(x11VNC, tightViewer)},
		{"tightvnc-tiger", test, remoteDesktop(tightVNC, vncViewer)},
	}}
	rdp = label{name: "rdp", programs: []program{
		{"xrdp-freerdp", "", remoteDesktop(xrdp, freeRDP)},
		{"xrdp-rdesktop", "", remoteDesktop(xrdp, rdesktop)},
		{"xrdp-rdp-rdesktop", test, remoteDesktop(xrdpWith("rdp"), rdesktop)},
	}}
)

// desktop is a screen, a keyboard and a mouse far away.
var desktop = label{name: "remote-desktop", programs: []program{
	{"tigervnc", "", remoteDesktop(tigerVNC("VncAuth"), vncViewer)},
	{"tigervnc-tls", "", remoteDesktop(tigerVNC("TLSVnc"), vncViewer)},
	{"x11vnc", calibration, remoteDesktop(x11VNC, vncViewer)},
	{"xrdp", test, remoteDesktop(xrdp, freeRDP)},
}}

const (
	serverDisplay = ":7" // of the desktop
	clientDisplay = ":8" // where it is shown
)

func (l *lab) screen() string { return one(l, "1024x768", "800x600", "1280x800") }

func (l *lab) vncPassword() error {
	return l.client.run("sh", "-c", "echo secret | tigervncpasswd -f >vncpasswd")
}

func tigerVNC(security string) func(*lab) error {
	return func(l *lab) error {
		_, err := l.server.start("Xtigervnc", serverDisplay, "-geometry", l.screen(), "-depth", "24", "-rfbport", fmt.Sprint(l.Port),
			"-SecurityTypes", security, "-PasswordFile", "vncpasswd", "-localhost=0", "-desktop", one(l, "lab", "workstation 12", "root's desktop"))
		return err
	}
}

func x11VNC(l *lab) error {
	if _, err := l.server.start("Xvfb", serverDisplay, "-screen", "0", l.screen()+"x24", "-nolisten", "tcp"); err != nil {
		return err
	}
	if err := waitForDisplay(l.server, serverDisplay); err != nil {
		return err
	}
	_, err := l.server.start("x11vnc", "-display", serverDisplay, "-rfbport", fmt.Sprint(l.Port), "-rfbauth", "vncpasswd", "-forever", "-shared", "-noxdamage", "-quiet", "-no6")
	return err
}

// xrdp shows the desktop of a VNC server on its loopback.
func xrdp(l *lab) error { return xrdpWith(one(l, "tls", "negotiate"))(l) }

// xrdpWith has one of RDP's security layers.
func xrdpWith(layer string) func(*lab) error {
	return func(l *lab) error { return startXRDP(l, layer) }
}

func startXRDP(l *lab, layer string) error {
	if _, err := l.identity(); err != nil {
		return err
	}
	if _, err := l.server.start("Xtigervnc", serverDisplay, "-geometry", l.screen(), "-depth", "24", "-rfbport", "5917", "-SecurityTypes", "VncAuth",
		"-PasswordFile", "vncpasswd", "-localhost=1"); err != nil {
		return err
	}
	if err := l.server.listens("tcp", 5917); err != nil {
		return err
	}
	conf := l.write("xrdp.ini", `[Globals]
ini_version=1
fork=true
port=tcp://:%d
security_layer=%s
crypt_level=high
certificate=/run/lab/cert.pem
key_file=/run/lab/key.pem
ssl_protocols=TLSv1.2, TLSv1.3
autorun=desk
allow_channels=true
max_bpp=32
[Logging]
LogFile=/dev/stderr
LogLevel=INFO
EnableSyslog=false
EnableConsole=true
ConsoleLevel=INFO
[Channels]
rdpdr=false
[desk]
name=desk
lib=libvnc.so
ip=127.0.0.1
port=5917
username=na
password=secret
`, l.Port, layer)
	_, err := l.server.start("xrdp", "--nodaemon", "--config", conf)
	return err
}

func vncViewer(l *lab) (*process, error) {
	c := l.client.command("xtigervncviewer", "-PasswordFile", "vncpasswd", "-FullColor="+one(l, "1", "1", "0"), "-QualityLevel", fmt.Sprint(l.between(3, 9)),
		"-CompressLevel", fmt.Sprint(l.between(1, 6)), "-PreferredEncoding", one(l, "Tight", "ZRLE", "Hextile"), fmt.Sprintf("%s::%d", l.Server.Address, l.Port))
	c.Env = append(c.Environ(), "DISPLAY="+clientDisplay)
	return l.client.begin(c)
}

func tightVNC(l *lab) error {
	c := l.server.command("Xtightvnc", serverDisplay, "-geometry", l.screen(), "-depth", "24", "-rfbport", fmt.Sprint(l.Port), "-rfbauth", work+"/vncpasswd", "-desktop", "lab", "-fp", "/usr/share/fonts/X11/misc")
	_, err := l.server.begin(c)
	return err
}

func tightViewer(l *lab) (*process, error) {
	c := l.client.command("xtightvncviewer", "-passwd", "vncpasswd", "-encodings", one(l, "tight", "zlib", "hextile", "raw copyrect"), fmt.Sprintf("%s::%d", l.Server.Address, l.Port))
	c.Env = append(c.Environ(), "DISPLAY="+clientDisplay)
	return l.client.begin(c)
}

func rdesktop(l *lab) (*process, error) {
	c := l.client.command("sh", "-c", fmt.Sprintf("yes yes | exec rdesktop -u lab -p secret -g %s -a %s %s:%d", l.screen(), one(l, "16", "24", "32"), l.Server.Address, l.Port))
	c.Env = append(c.Environ(), "DISPLAY="+clientDisplay)
	return l.client.begin(c)
}

func freeRDP(l *lab) (*process, error) {
	c := l.client.command("xfreerdp", fmt.Sprintf("/v:%s:%d", l.Server.Address, l.Port), "/u:lab", "/p:secret", "/cert:ignore", "/size:"+l.screen(),
		"/sec:tls", "/bpp:"+one(l, "32", "24", "16"), "/log-level:WARN")
	c.Env = append(c.Environ(), "DISPLAY="+clientDisplay)
	return l.client.begin(c)
}

func waitForDisplay(h *host, display string) error {
	for range 100 {
		c := h.command("xdotool", "getmouselocation")
		c.Env = append(c.Environ(), "DISPLAY="+display)
		c.Stderr = nil
		if h.finish(c) == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("no display %s", display)
}

func remoteDesktop(serve func(*lab) error, view func(*lab) (*process, error)) func(*lab) error {
	return func(l *lab) error {
		if err := l.vncPassword(); err != nil {
			return err
		}
		if err := serve(l); err != nil {
			return err
		}
		if err := l.server.listens("tcp", l.Port); err != nil {
			return err
		}
		terminal := l.server.command("xterm", "-geometry", "100x40", "-e", "top", "-d", "1")
		terminal.Env = append(terminal.Environ(), "DISPLAY="+serverDisplay)
		if _, err := l.server.begin(terminal); err != nil {
			return err
		}
		return l.watch(view, 2, 3)
	}
}

// watch records viewers, from low to top of them, that show the screen, in which the
// mouse is moved and keys are pressed.
func (l *lab) watch(view func(*lab) (*process, error), low, top int) error {
	if _, err := l.client.start("Xvfb", clientDisplay, "-screen", "0", "1400x1000x24", "-nolisten", "tcp"); err != nil {
		return err
	}
	if err := waitForDisplay(l.client, clientDisplay); err != nil {
		return err
	}
	if err := l.captureTCP(); err != nil {
		return err
	}
	return l.some(low, top, func(int) error {
		p, err := view(l)
		if err != nil {
			return err
		}
		l.pause(700, 1500)
		for range l.between(4, 15) {
			args := []string{"mousemove", fmt.Sprint(l.between(50, 700)), fmt.Sprint(l.between(50, 500))}
			switch l.rng.IntN(3) {
			case 0:
				args = append(args, "click", "1")
			case 1:
				args = append(args, "key", one(l, "a", "q", "Return", "space", "Down"))
			}
			c := l.client.command("xdotool", args...)
			c.Env = append(c.Environ(), "DISPLAY="+clientDisplay)
			if err := l.client.finish(c); err != nil {
				return err
			}
			l.pause(30, 400)
		}
		p.stop(syscall.SIGTERM)
		return nil
	})
}
