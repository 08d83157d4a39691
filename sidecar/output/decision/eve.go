package decision

import (
	"math"
	"strconv"
	"strings"
)

// Words are the texts of a decision as JSON strings, quotes included. Many
// decisions share them.
type Words struct {
	Label, Stage string
	Model        string // "name@version" of the bundle
	Reason       string
	Services     string // as in Record, not JSON
}

// NewWords returns the texts of r as JSON.
func NewWords(r *Record) Words {
	quote := func(s string) string { return string(appendString(nil, s)) }
	return Words{Label: quote(r.Label), Stage: quote(r.Stage), Model: quote(r.Model), Reason: quote(r.Reason), Services: r.Services}
}

// WholeEVE reports whether Suricata's EVE records of a type get the whole object
// serveflow: those of a flow itself. There are several others for each flow.
func WholeEVE(eventType string) bool { return eventType == "flow" || eventType == "netflow" }

// AppendEVE appends the object serveflow that Suricata's EVE records of a flow itself
// get, as one more member of the record, with the comma before it. Its keys are label,
// score, margin, stage, packets, latency_us, model, version and reason, with the values
// of the label log; model and version are the two parts of the log's model. If known,
// agrees says whether the record's app_proto fits the label.
func AppendEVE(dst []byte, w *Words, score, margin float32, packets int, latencyUS int64, agrees Agreement) []byte {
	dst = appendLabel(dst, w, score)
	dst = append(dst, `,"margin":`...)
	dst = AppendFloat(dst, margin)
	dst = append(dst, `,"stage":`...)
	dst = append(dst, w.Stage...)
	dst = append(dst, `,"packets":`...)
	dst = strconv.AppendInt(dst, int64(packets), 10)
	dst = append(dst, `,"latency_us":`...)
	dst = strconv.AppendInt(dst, latencyUS, 10)
	dst = append(dst, `,"model":`...)
	// JSON does not escape an @.
	if at := strings.LastIndexByte(w.Model, '@'); at >= 0 {
		dst = append(append(dst, w.Model[:at]...), `","version":"`...)
		dst = append(dst, w.Model[at+1:]...)
	} else {
		dst = append(append(dst, w.Model...), `,"version":""`...)
	}
	dst = append(dst, `,"reason":`...)
	dst = append(dst, w.Reason...)
	dst = agrees.append(dst)
	return append(dst, '}')
}

// AppendShortEVE appends the object serveflow of all other records: label, score and,
// if known, agrees.
func AppendShortEVE(dst []byte, w *Words, score float32, agrees Agreement) []byte {
	return append(agrees.append(appendLabel(dst, w, score)), '}')
}

func appendLabel(dst []byte, w *Words, score float32) []byte {
	dst = append(dst, `,"serveflow":{"label":`...)
	dst = append(dst, w.Label...)
	dst = append(dst, `,"score":`...)
	return AppendFloat(dst, score)
}

// AppendFloat writes the shortest decimal that reads back as f; JSON has no
// NaN and no infinity.
func AppendFloat(dst []byte, f float32) []byte {
	if f != f || math.IsInf(float64(f), 0) {
		return append(dst, "null"...)
	}
	return strconv.AppendFloat(dst, float64(f), 'g', -1, 32)
}
