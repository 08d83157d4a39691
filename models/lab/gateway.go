package main

import (
	"context"
	"errors"
	"io"
	"os"
)

// gateway is the address of a gateway at the client's end of the wire, which
// masquerades the client; "" if there is none.
type gateway string

// newHostBehind makes a host whose end of the wire is a gateway's, with an address
// and ports of the gateway's own.
func newHostBehind(ctx context.Context, g gateway, e endpoint, mtu int, log io.Writer) (*host, error) {
	if g == "" {
		return newHost(ctx, e, mtu, log)
	}
	router, err := newHost(ctx, endpoint{string(g), e.Settings}, mtu, log)
	if err != nil {
		return nil, err
	}
	h := &host{endpoint: e, wire: router.wire, log: log, ctx: ctx}
	if err := h.unshare(func() error { return nil }); err != nil {
		return nil, err
	}
	return h, errors.Join(
		router.run("ip", "link", "add", "name", "lan", "type", "veth", "peer", "name", device, "netns", h.namespacePath()),
		h.configure(mtu),
		router.inside(func() error {
			return errors.Join(os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0), os.WriteFile("/proc/sys/net/ipv4/conf/lan/proxy_arp", []byte("1"), 0))
		}),
		router.run("ip", "link", "set", "lan", "mtu", "1500", "up"),
		router.run("ip", "route", "add", e.Address+"/32", "dev", "lan"),
		router.run("iptables", "-t", "nat", "-A", "POSTROUTING", "-o", device, "-j", "MASQUERADE", "--random-fully"),
	)
}
