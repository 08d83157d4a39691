package feature

import (
	"fmt"
	"strings"
)

// Mask is a set of fields that models must not see, because they identify where and
// when a packet was captured rather than its class. Their bits read Missing,
// whether or not the packet has them.
type Mask uint

// The masks. MaskAll is what models are trained with unless there is a reason.
const (
	// MaskAddresses hides IP addresses, also in IPv4 options that record
	// routes and in ICMP redirects.
	MaskAddresses Mask = 1 << iota
	// MaskChecksums hides the checksums of every header, which leak
	// addresses, and the digests in TCP options (RFC 2385, 5925).
	MaskChecksums
	// MaskIdentifiers hides the IPv4 ID, the IPv6 flow label, identifier and
	// sequence number of ICMP queries such as echo, and keys, tokens and
	// cookies in TCP options (RFC 8684, 7413).
	MaskIdentifiers
	// MaskTCPSequence hides sequence and acknowledgement numbers, also those
	// of the SACK option (RFC 2018).
	MaskTCPSequence
	// MaskTCPTimestamps hides the values of the TCP timestamps option (RFC
	// 7323); that it is there stays visible.
	MaskTCPTimestamps
	// MaskEphemeralPorts hides ports that a system chose by itself: the
	// originator's unless it is below 1024 or equal to the responder's, and
	// either when it is 32768 or above (the lower of Linux' default and of
	// RFC 6335's range).
	MaskEphemeralPorts

	MaskAll = 1<<iota - 1
)

var maskNames = []string{
	"addresses", "checksums", "identifiers", "tcp_sequence", "tcp_timestamps", "ephemeral_ports",
}

// ParseMasks returns the set of the named masks: addresses, checksums,
// identifiers, tcp_sequence, tcp_timestamps, ephemeral_ports.
func ParseMasks(names []string) (Mask, error) {
	var m Mask
next:
	for _, name := range names {
		for i, known := range maskNames {
			if name == known {
				m |= 1 << i
				continue next
			}
		}
		return 0, fmt.Errorf("unknown mask %q: use %s", name, strings.Join(maskNames, ", "))
	}
	return m, nil
}

// Names returns the names that ParseMasks reads.
func (m Mask) Names() []string {
	names := []string{}
	for i, name := range maskNames {
		if m&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}
