package feature

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"serveflow/sidecar/features/packet"
)

// MaxPackets bounds the packet numbers of columns. Byte counts over more packets
// would not be exact in a float32.
const MaxPackets = 255

// Spec selects the columns of a data set for training.
type Spec struct {
	// Packets is how many packets of each flow have columns, 1 to MaxPackets.
	Packets int
	// Sections are ipv4, tcp, udp, ipv6, icmp, seq and shape.
	Sections []string
	// Masks hide fields. A column that they hide in every packet is left out.
	Masks Mask
	// NoHeaders leaves out columns that a headerless tap cannot fill.
	NoHeaders bool
}

// Validate reports the first mistake in s.
func (s Spec) Validate() error {
	if s.Packets < 1 || s.Packets > MaxPackets {
		return fmt.Errorf("%d packets: use 1 to %d", s.Packets, MaxPackets)
	}
	if len(s.Sections) == 0 {
		return errors.New("no sections: use some of " + strings.Join(sectionNames[:], ", "))
	}
	for _, name := range s.Sections {
		if !slices.Contains(sectionNames[:], name) {
			return fmt.Errorf("unknown section %q: use %s", name, strings.Join(sectionNames[:], ", "))
		}
	}
	if s.NoHeaders && !slices.Contains(s.Sections, sectionNames[seq]) && !slices.Contains(s.Sections, sectionNames[shape]) {
		return errors.New("without headers only the sections seq and shape have columns")
	}
	return nil
}

// Columns lists the columns of a valid spec: the flow's columns, the shapes, then
// packet by packet the headers, the sequences and the totals so far. So the columns
// for fewer packets are a prefix of those for more.
func (s Spec) Columns() []string {
	var has [sections]bool
	for i, name := range sectionNames {
		has[i] = slices.Contains(s.Sections, name)
	}
	var names []string
	if has[seq] {
		names = append(names, flowNames...)
	}
	if has[shape] {
		for j := 1; j <= packet.MaxShapes; j++ {
			for _, name := range shapeNames {
				names = append(names, "s"+strconv.Itoa(j)+"_"+name)
			}
		}
	}
	for k := 1; k <= s.Packets; k++ {
		prefix := "p" + strconv.Itoa(k) + "_"
		for sec := range headers {
			if !has[sec] || s.NoHeaders {
				continue
			}
			for _, f := range headerFields[sec] {
				if f.mask&s.Masks != 0 {
					continue
				}
				for bit := range f.bits {
					names = append(names, prefix+bitName(sec, f, bit))
				}
			}
		}
		if !has[seq] {
			continue
		}
		for i, name := range seqNames {
			if !s.NoHeaders || !seqHeaders[i] {
				names = append(names, prefix+name)
			}
		}
		for _, name := range firstNames {
			names = append(names, "first"+strconv.Itoa(k)+"_"+name)
		}
	}
	return names
}

func bitName(sec section, f field, bit int) string {
	return sectionNames[sec] + "_" + f.name + "_" + strconv.Itoa(bit)
}

// scope is what a column refers to.
type scope int

const (
	ofFlow   scope = iota
	ofPacket       // seq values of one packet
	ofFirst        // seq values over the first packets
	ofHeader       // one bit of a header
	ofShape        // values of a packet with payload
)

// column is a parsed column name.
type column struct {
	scope   scope
	packet  int     // from 1; in scope ofShape among those with payload
	section section // in scope ofHeader
	index   int     // the bit in the header, else the place in the list of names
	mask    Mask    // masks that hide it in every packet
}

// lookup finds the column of a name.
func lookup(name string) (column, bool) {
	if i := slices.Index(flowNames, name); i >= 0 {
		return column{scope: ofFlow, packet: 1, index: i}, true
	}
	if k, rest, ok := numbered(name, "first"); ok {
		i := slices.Index(firstNames, rest)
		return column{scope: ofFirst, packet: k, index: i}, i >= 0
	}
	if j, rest, ok := numbered(name, "s"); ok {
		i := slices.Index(shapeNames, rest)
		return column{scope: ofShape, packet: j, index: i}, i >= 0 && j <= packet.MaxShapes
	}
	k, rest, ok := numbered(name, "p")
	if !ok {
		return column{}, false
	}
	if i := slices.Index(seqNames, rest); i >= 0 {
		return column{scope: ofPacket, packet: k, index: i}, true
	}
	c, ok := bitColumns()[rest]
	c.packet = k
	return c, ok
}

// IsBit reports whether a column is one bit of a header, whose values are 1, 0
// and Missing.
func IsBit(name string) bool {
	c, ok := lookup(name)
	return ok && c.scope == ofHeader
}

// numbered splits names such as p12_gap into 12 and gap.
func numbered(name, prefix string) (k int, rest string, ok bool) {
	name, ok = strings.CutPrefix(name, prefix)
	if !ok {
		return 0, "", false
	}
	digits, rest, ok := strings.Cut(name, "_")
	k, err := strconv.Atoi(digits)
	if err != nil || k < 1 || k > MaxPackets || strconv.Itoa(k) != digits {
		return 0, "", false
	}
	return k, rest, ok
}

// bitColumns maps names such as ipv4_ttl_0 to their columns.
var bitColumns = sync.OnceValue(func() map[string]column {
	columns := map[string]column{}
	for sec := range headers {
		at := 0
		for _, f := range headerFields[sec] {
			for bit := range f.bits {
				columns[bitName(sec, f, bit)] = column{scope: ofHeader, section: sec, index: at + bit, mask: f.mask}
			}
			at += f.bits
		}
	}
	return columns
})

// Field is the field of a column, the same for every packet and bit: ipv4_ttl of
// p3_ipv4_ttl_0, payload of p3_payload, first_duration of first3_duration,
// shape_entropy of s2_entropy. A name that is not a column is its own field.
func Field(name string) string {
	c, ok := lookup(name)
	if !ok {
		return name
	}
	switch c.scope {
	case ofPacket:
		return seqNames[c.index]
	case ofFirst:
		return "first_" + firstNames[c.index]
	case ofShape:
		return "shape_" + shapeNames[c.index]
	case ofHeader:
		name, _ := fieldAt(c)
		return name
	}
	return name
}

// fieldAt is the name of the field that a column of ofHeader is a bit of, and its
// width.
func fieldAt(c column) (name string, bits int) {
	bit := c.index
	for _, f := range headerFields[c.section] {
		if bit < f.bits {
			return sectionNames[c.section] + "_" + f.name, f.bits
		}
		bit -= f.bits
	}
	panic("feature: a bit beyond its header")
}
