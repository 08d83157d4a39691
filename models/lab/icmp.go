package main

import (
	"fmt"
	"syscall"
)

// echo is what people test reachability with.
var echo = label{name: "icmp", programs: []program{
	{"ping", "", echoes(func(l *lab) error {
		return l.client.run("ping", "-q", "-n", "-W", "2", "-c", fmt.Sprint(l.between(1, 12)), "-i", fmt.Sprintf("0.%d", l.between(1, 9)),
			"-s", fmt.Sprint(one(l, 56, 56, 56, 32, l.between(8, 1300))), l.Server.Address)
	})},
	{"mtr", "", echoes(func(l *lab) error {
		return l.client.run("mtr", "-n", "-r", "-c", fmt.Sprint(l.between(2, 5)), "-i", "0.4", "-G", "1", "-s", fmt.Sprint(one(l, 64, 64, l.between(40, 900))), l.Server.Address)
	})},
	{"hping3", calibration, echoes(func(l *lab) error {
		return l.client.run("hping3", "-q", "-n", "-I", device, "--icmp", "-c", fmt.Sprint(l.between(2, 8)), "-i", "u300000", "-d", fmt.Sprint(l.between(0, 600)), l.Server.Address)
	})},
	{"fping", test, echoes(func(l *lab) error {
		return l.client.run("fping", "-q", "-C", fmt.Sprint(l.between(2, 8)), "-p", fmt.Sprint(l.between(100, 900)), "-b", fmt.Sprint(one(l, 56, l.between(12, 900))), l.Server.Address)
	})},
}}

// icmpTunnel is TCP inside of echo requests and replies.
var icmpTunnel = label{name: "icmp-tunnel", programs: []program{
	{"ptunnel-ng", "", pingTunnel("ptunnel-ng", []string{"-R7001", "-r127.0.0.1"},
		[]string{"-p%s", "-l7000", "-R7001", "-r127.0.0.1"})},
	{"ptunnel", test, pingTunnel("ptunnel", nil, []string{"-p", "%s", "-lp", "7000", "-da", "127.0.0.1", "-dp", "7001"})},
}}

// echoes sends echo requests, each time from another address: a flow of echo
// requests is all that one address sends to another.
func echoes(send func(*lab) error) func(*lab) error {
	return func(l *lab) error {
		if err := l.capture("icmp"); err != nil {
			return err
		}
		return l.some(2, 4, func(int) error {
			if err := l.move(); err != nil {
				return err
			}
			if err := send(l); err != nil { // which the loss of a packet may be
				fmt.Fprintln(l.log, err)
			}
			return nil
		})
	}
}

// move gives the client another address.
func (l *lab) move() error {
	address := drawAddress(l.rng, "10", "192.168")
	if err := l.client.run("ip", "address", "add", address+"/32", "dev", device); err != nil {
		return err
	}
	return l.client.run("ip", "route", "replace", "default", "dev", device, "src", address, "congctl", l.Client.Settings.Control)
}

func pingTunnel(tool string, server, client []string) func(*lab) error {
	return func(l *lab) error {
		if err := l.inner(7001); err != nil {
			return err
		}
		if _, err := l.server.start(tool, server...); err != nil {
			return err
		}
		if err := l.capture("icmp"); err != nil {
			return err
		}
		return l.some(2, 3, func(int) error {
			if err := l.move(); err != nil {
				return err
			}
			args := make([]string, len(client))
			for i, a := range client {
				args[i] = a
				if a == "%s" || a == "-p%s" {
					args[i] = fmt.Sprintf(a, l.Server.Address)
				}
			}
			p, err := l.client.start(tool, args...)
			if err != nil {
				return err
			}
			defer p.stop(syscall.SIGTERM)
			if err := l.client.listens("tcp", 7000); err != nil {
				return err
			}
			for range l.between(1, 3) {
				if err := l.client.run("curl", "-sS", "--max-time", "5", "-o", "/dev/null", fmt.Sprintf("http://127.0.0.1:7000/item%d", l.rng.IntN(6))); err != nil {
					fmt.Fprintln(l.log, err) // it is slow
				}
				l.pause(50, 600)
			}
			return nil
		})
	}
}
