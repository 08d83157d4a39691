package main

import "fmt"

// ntp is clients that ask a server for the time. None of them sets the clock.
var ntp = label{name: "ntp", programs: []program{
	{"chrony-burst", "", timeServer(func(l *lab) error {
		return l.client.run("chronyd", "-Q", "-t", "6", "-f", "/dev/null", "-u", "root",
			fmt.Sprintf("server %s port %d iburst maxsamples %d version %d", l.Server.Address, l.Port, l.between(1, 4), l.between(3, 4)))
	})},
	{"ntpdig", "", timeServer(func(l *lab) error {
		l.knowsOnly(123)
		return l.client.run("ntpdig", "-t", "2", "-s", fmt.Sprint(l.between(1, 4)), l.Server.Address)
	})},
	{"rdate", test, timeServer(func(l *lab) error {
		l.knowsOnly(123)
		return l.client.run("rdate", "-n", "-p", "-v", l.Server.Address)
	})},
}}

func timeServer(ask func(*lab) error) func(*lab) error {
	return func(l *lab) error {
		conf := l.write("chrony.conf", "port %d\nlocal stratum %d\nallow all\ncmdport 0\npidfile /run/lab/chronyd.pid\nbindcmdaddress /\n", l.Port, l.between(1, 10))
		if _, err := l.server.start("chronyd", "-d", "-x", "-u", "root", "-f", conf); err != nil {
			return err
		}
		if err := l.server.listens("udp", l.Port); err != nil {
			return err
		}
		if l.Program != "chrony-burst" {
			l.AtServe = true // see knowsOnly
		}
		if err := l.captureUDP(); err != nil {
			return err
		}
		return l.some(2, 5, func(int) error {
			if err := ask(l); err != nil { // which the loss of a datagram may be
				fmt.Fprintln(l.log, err)
			}
			return nil
		})
	}
}
