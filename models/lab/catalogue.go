package main

// label is a class of flows.
type label struct {
	name     string
	programs []program
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
	catalogue = []label{web, bulk, sshInteractive, sshBulk, sshForward, openVPN, wireGuard, tlsRelay, shadowsocks, ordinaryDNS, dnsTunnel, echo, icmpTunnel, mqtt, database, mail, ntp, bitTorrent, voip, desktop}
}

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
