package main

import "fmt"

// avahi has Avahi at both ends, which announce themselves, ask whether their
// names are free and say goodbye; the server's also has a service.
func avahi(kind string, port int) func(*lab) error {
	config := func(name string) string {
		return "[server]\nhost-name=" + name + "\nenable-dbus=no\nuse-ipv6=no\nallow-interfaces=wire\n[wide-area]\nenable-wide-area=no\n"
	}
	// Each daemon writes its process id to the same place.
	daemon := func(services, conf string) string {
		return "unshare -m sh -c 'mount -t tmpfs lab /run/avahi-daemon; mount --bind " + services + " /etc/avahi/services; exec avahi-daemon --no-drop-root --no-chroot --no-rlimits -f " + conf + "'"
	}
	return service{filter: "udp port 5353", low: 1, top: 2, files: map[string]string{
		"server.conf": config("server$PORT"),
		"client.conf": config("laptop"),
		"services/lab.service": fmt.Sprintf(`<?xml version="1.0" standalone='no'?>
<!DOCTYPE service-group SYSTEM "avahi-service.dtd">
<service-group><name replace-wildcards="yes">Lab on %%h</name>
<service><type>%s</type><port>%d</port><txt-record>path=/</txt-record></service></service-group>
`, kind, port),
	}, prepare: "mkdir -p /run/avahi-daemon none", run: []string{"sleep 0.4; exec " + daemon("services", "server.conf")}}.with(
		sh("sleep 0.$((RANDOM % 9)); timeout $((RANDOM % 4 + 3)) " + daemon("none", "client.conf")))
}
