package enrich

import (
	"serveflow/sidecar/output/decision"
	"strconv"
)

// appendEVE appends the object serveflow as a further member of a record, the whole or
// the short one.
func (l *Labels) appendEVE(dst []byte, d *logged, whole bool) []byte {
	words := decision.Words{
		Label: l.words[d.label].raw, Stage: l.words[d.stage].raw,
		Model: l.words[d.model].raw, Reason: l.words[d.reason].raw,
	}
	if !whole {
		return decision.AppendShortEVE(dst, &words, d.score, decision.NotKnown)
	}
	return decision.AppendEVE(dst, &words, d.score, d.margin, int(d.packets), d.latency, decision.NotKnown)
}

// appendZeekJSON appends the columns of Zeek's conn.log as further members.
// Zeek leaves out what is not set.
func (l *Labels) appendZeekJSON(dst []byte, d *logged) []byte {
	text := func(key string, n uint32) {
		if raw := l.words[n].raw; raw != `""` {
			dst = append(append(append(dst, key...), raw...), ',')
		}
	}
	dst = append(dst, ',')
	text(`"ml_label":`, d.label)
	if finite(d.score) {
		dst = append(decision.AppendFloat(append(dst, `"ml_score":`...), d.score), ',')
	}
	text(`"ml_stage":`, d.stage)
	dst = strconv.AppendInt(append(dst, `"ml_pkts":`...), int64(d.packets), 10)
	dst = append(decision.AppendSeconds(append(dst, `,"ml_latency":`...), d.latency), ',')
	text(`"ml_model":`, d.model)
	text(`"ml_reason":`, d.reason)
	return dst[:len(dst)-1]
}

func finite(f float32) bool { return f-f == 0 }

// appendDouble writes a number as Zeek's TSV does: up to 6 decimals.
func appendDouble(dst []byte, f float32) []byte {
	dst = strconv.AppendFloat(dst, float64(f), 'f', 6, 64)
	n := len(dst)
	for dst[n-1] == '0' && dst[n-2] != '.' {
		n--
	}
	return dst[:n]
}
