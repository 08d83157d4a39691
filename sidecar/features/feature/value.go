package feature

import (
	"fmt"
	"math"
	"strings"

	"serveflow/sidecar/features/packet"
)

// maxValueBits bounds the fields that are read as numbers: wider ones are not exact
// in a float32.
const maxValueBits = 24

// ValueOf names the number of a column, or the number that a column is a bit of:
// p3_ipv4_ttl for p3_ipv4_ttl_0, and the name itself for a column that is not a
// bit. Empty if the field is wider than 24 bits or the name is not a column.
func ValueOf(column string) string {
	c, ok := lookup(column)
	switch {
	case !ok:
		return ""
	case c.scope != ofHeader:
		return column
	}
	if _, bits := fieldAt(c); bits > maxValueBits {
		return ""
	}
	return column[:strings.LastIndexByte(column, '_')]
}

// Values reads numbers of flows, for statistics rather than models. It belongs to
// one goroutine.
type Values struct {
	plan  *Plan
	row   []float32
	reads []valueCells
}

// valueCells is the place of a value in a row: a column, or the bits of a field,
// the highest first.
type valueCells struct {
	from, to int
	missing  float32
}

// NewValues returns a reader of values named as by ValueOf. The error names an
// invalid one.
func NewValues(names []string, masks Mask) (*Values, error) {
	v := new(Values)
	var columns []string
	for _, name := range names {
		from, missing := len(columns), float32(Missing)
		if c, ok := lookup(name); ok && c.scope != ofHeader {
			columns = append(columns, name)
			missing = c.missing()
		} else {
			if name == "" || ValueOf(name+"_0") != name {
				return nil, fmt.Errorf("%q is not a number of a flow: name a column of seq, or a header field of at most %d bits as in p1_ipv4_ttl", name, maxValueBits)
			}
			c, _ := lookup(name + "_0")
			_, bits := fieldAt(c)
			for i := range bits {
				columns = append(columns, fmt.Sprintf("%s_%d", name, i))
			}
		}
		v.reads = append(v.reads, valueCells{from, len(columns), missing})
	}
	var err error
	if v.plan, err = Compile(columns, masks); err != nil {
		return nil, err
	}
	v.row = make([]float32, v.plan.Width())
	return v, nil
}

// Packets is the highest packet number of a value.
func (v *Values) Packets() int { return v.plan.Packets() }

// NeedsHeaders reports whether a value depends on headers, which a headerless tap
// does not send.
func (v *Values) NeedsHeaders() bool { return v.plan.NeedsHeaders() }

// Read writes the values of a flow to dst, which must have room for all; missing
// values are NaN. flow is as in Plan.Encode. Read does not allocate.
func (v *Values) Read(dst []float32, flow []packet.Packet) {
	v.plan.Encode(v.row, flow)
	for i, r := range v.reads {
		cells := v.row[r.from:r.to]
		if len(cells) == 1 {
			dst[i] = cells[0]
		} else {
			dst[i] = 0
			for _, bit := range cells {
				if bit == Missing {
					dst[i] = Missing
					break
				}
				dst[i] = 2*dst[i] + bit
			}
		}
		if dst[i] == r.missing {
			dst[i] = float32(math.NaN())
		}
	}
}
