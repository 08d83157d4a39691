package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"serveflow/models/dataset"
	"serveflow/sidecar/output/communityid"
	"serveflow/sidecar/output/decision"
	"serveflow/sidecar/replay"
	"serveflow/sidecar/tap/wire"
)

// flowTable prints flows, as a table or as JSON.
type flowTable struct {
	out    *bufio.Writer
	json   *json.Encoder // or nil
	truth  bool
	rows   [][]string // not yet printed
	widths []int      // of the columns so far
}

// tableRows is how many rows determine the widths of the columns before they are
// printed.
const tableRows = 1000

func newFlowTable(w io.Writer, r replayCmd) *flowTable {
	t := &flowTable{out: bufio.NewWriter(w), truth: r.Manifest != ""}
	if r.JSON {
		t.json = json.NewEncoder(w) // printed at once
	}
	return t
}

// flowRow is a flow as JSON.
type flowRow struct {
	Capture     string  `json:"capture"`
	Flow        uint64  `json:"flow"`
	CommunityID string  `json:"community_id"`
	Start       float64 `json:"ts"`
	Total       uint64  `json:"flow_packets"`
	Label       string  `json:"label"`
	Score       float32 `json:"score"`
	Stage       string  `json:"stage"`
	Packets     int     `json:"packets"`
	LatencyUS   int64   `json:"latency_us"`
	Model       string  `json:"model"`
	Reason      string  `json:"reason"`
	Truth       string  `json:"truth,omitempty"`
}

func (t *flowTable) row(c dataset.Capture, f *replay.Labelled) error {
	l := &f.Label
	name := wire.CleanText(filepath.Base(c.File))
	if t.json != nil {
		return t.json.Encode(flowRow{
			Capture: name, Flow: f.Flow, CommunityID: communityid.Of(f.Tuple), Start: float64(f.Start) / 1e6, Total: f.Packets,
			Label: l.Label, Score: l.Score, Stage: l.Stage, Packets: l.Packets, LatencyUS: l.LatencyUS,
			Model: l.Model, Reason: l.Reason, Truth: c.Label,
		})
	}
	if t.widths == nil {
		t.add("capture", "flow", "proto", "originator", "responder", "label", "score", "stage", "packets", "reason", "truth")
	}
	t.add(name, strconv.FormatUint(f.Flow, 10), decision.ProtoName(f.Tuple.Proto),
		end(f.Tuple.SrcAddr().String(), f.Tuple.SrcPort), end(f.Tuple.DstAddr().String(), f.Tuple.DstPort),
		cell(l.Label), strconv.FormatFloat(float64(l.Score), 'f', 3, 32), cell(l.Stage), strconv.Itoa(l.Packets), cell(l.Reason), c.Label)
	if len(t.rows) < tableRows {
		return nil
	}
	return t.flush()
}

// add adds a row, whose last column is the truth.
func (t *flowTable) add(cells ...string) {
	if !t.truth {
		cells = cells[:len(cells)-1]
	}
	t.rows = append(t.rows, cells)
	if t.widths == nil {
		t.widths = make([]int, len(cells))
	}
	for i, cell := range cells {
		t.widths[i] = max(t.widths[i], utf8.RuneCountInString(cell))
	}
}

func end(addr string, port uint16) string {
	if strings.ContainsRune(addr, ':') {
		addr = "[" + addr + "]"
	}
	return addr + ":" + strconv.Itoa(int(port))
}

// cell replaces an empty text: no label came, or no stage was asked.
func cell(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// flush prints the rows that are left.
func (t *flowTable) flush() error {
	for _, cells := range t.rows {
		for i, cell := range cells[:len(cells)-1] {
			fmt.Fprintf(t.out, "%-*s  ", t.widths[i], cell)
		}
		fmt.Fprintln(t.out, cells[len(cells)-1])
	}
	t.rows = t.rows[:0]
	return t.out.Flush()
}
