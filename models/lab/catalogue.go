package main

import (
	"fmt"
	"slices"
	"strings"
)

// label is a class of flows.
type label struct {
	name     string
	programs []program
	share    int  // sessions of a round, 0 for one
	reached  bool // servers reach clients at the address that these know: no gateway masquerades them
}

// program is one way to make a label's traffic: programs of Debian with some of
// their options. It prepares its service, calls capture and then does what its
// label is about.
type program struct {
	name string
	only string // the split that it is kept for, if any
	run  func(*lab) error
}

const calibration, test = "calibration", "test"

var catalogue []label

func init() {
	catalogue = []label{web, bulk, sshInteractive, sshBulk, sshForward, openVPN, wireGuard, tlsRelay, shadowsocks, ordinaryDNS, dnsTunnel, echo, icmpTunnel, mqtt, database, mail, ntp, bitTorrent, voip, desktop,
		proxy, tor, vpnOther, encryptedDNS, plainHTTP, quic, silent, ipsec,
		smb, ldap, kerberos, snmp, dhcp, mdns, ssdp, ot, vnc, rdp, spice, rtsp, other}
}

// each is how many sessions of the label a round has.
func (l *label) each() int { return max(1, l.share) }

func find(labelName, programName string) *program {
	for _, l := range catalogue {
		for i := range l.programs {
			if l.name == labelName && l.programs[i].name == programName {
				return &l.programs[i]
			}
		}
	}
	return nil
}

// choice returns the labels with the given names, all if there are none. Of a name
// with a slash, only the program that the slash leads to is meant.
func choice(names []string) ([]label, error) {
	if len(names) == 0 {
		return catalogue, nil
	}
	var all []label
	for _, name := range names {
		of, only, some := strings.Cut(name, "/")
		at := slices.IndexFunc(catalogue, func(l label) bool { return l.name == of })
		if at < 0 {
			return nil, fmt.Errorf("no label %q: -list shows them", of)
		}
		l := catalogue[at]
		if some {
			p := find(of, only)
			if p == nil {
				return nil, fmt.Errorf("label %s has no program %q: -list shows them", of, only)
			}
			if k := slices.IndexFunc(all, func(l label) bool { return l.name == of }); k >= 0 {
				all[k].programs = append(all[k].programs, *p)
				continue
			}
			l.programs, l.share = []program{*p}, 0
		}
		all = append(all, l)
	}
	return all, nil
}
