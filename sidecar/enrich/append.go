package enrich

import (
	"strconv"
	"strings"
)

// appendEVE appends the object serveflow as a further member of a record.
func (l *Labels) appendEVE(dst []byte, d *decision) []byte {
	dst = append(dst, `,"serveflow":{"label":`...)
	dst = append(dst, l.words[d.label].raw...)
	dst = append(dst, `,"score":`...)
	dst = appendFloat(dst, d.score)
	dst = append(dst, `,"margin":`...)
	dst = appendFloat(dst, d.margin)
	dst = append(dst, `,"stage":`...)
	dst = append(dst, l.words[d.stage].raw...)
	dst = append(dst, `,"packets":`...)
	dst = strconv.AppendInt(dst, int64(d.packets), 10)
	dst = append(dst, `,"latency_us":`...)
	dst = strconv.AppendInt(dst, d.latency, 10)
	// The log has name@version in one; an @ is the same in JSON.
	name, version := l.words[d.model].raw, `""`
	if at := strings.LastIndexByte(name, '@'); at >= 0 {
		name, version = name[:at]+`"`, `"`+name[at+1:]
	}
	dst = append(dst, `,"model":`...)
	dst = append(dst, name...)
	dst = append(dst, `,"version":`...)
	dst = append(dst, version...)
	dst = append(dst, `,"reason":`...)
	dst = append(dst, l.words[d.reason].raw...)
	return append(dst, '}')
}

// appendZeekJSON appends the columns of Zeek's conn.log as further members.
// Zeek leaves out what is not set.
func (l *Labels) appendZeekJSON(dst []byte, d *decision) []byte {
	text := func(key string, n uint32) {
		if raw := l.words[n].raw; raw != `""` {
			dst = append(append(append(dst, key...), raw...), ',')
		}
	}
	dst = append(dst, ',')
	text(`"ml_label":`, d.label)
	if finite(d.score) {
		dst = append(appendFloat(append(dst, `"ml_score":`...), d.score), ',')
	}
	text(`"ml_stage":`, d.stage)
	dst = strconv.AppendInt(append(dst, `"ml_pkts":`...), int64(d.packets), 10)
	dst = append(appendInterval(append(dst, `,"ml_latency":`...), d.latency), ',')
	text(`"ml_model":`, d.model)
	text(`"ml_reason":`, d.reason)
	return dst[:len(dst)-1]
}

func finite(f float32) bool { return f-f == 0 }

// appendFloat writes a number as the label log does.
func appendFloat(dst []byte, f float32) []byte {
	if !finite(f) {
		return append(dst, "null"...)
	}
	return strconv.AppendFloat(dst, float64(f), 'g', -1, 32)
}

// appendInterval writes microseconds as seconds with 6 decimals, as Zeek does.
func appendInterval(dst []byte, us int64) []byte {
	u := uint64(us)
	if us < 0 {
		dst = append(dst, '-')
		u = -u
	}
	dst = strconv.AppendUint(dst, u/1e6, 10)
	at := len(dst)
	dst = strconv.AppendUint(dst, 1e6+u%1e6, 10)
	dst[at] = '.'
	return dst
}

// appendDouble writes a number as Zeek's TSV does: up to 6 decimals.
func appendDouble(dst []byte, f float32) []byte {
	dst = strconv.AppendFloat(dst, float64(f), 'f', 6, 64)
	n := len(dst)
	for dst[n-1] == '0' && dst[n-2] != '.' {
		n--
	}
	return dst[:n]
}
