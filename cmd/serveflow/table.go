package main

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"

	"serveflow/models/dataset"
	"serveflow/sidecar/output/sink"
	"serveflow/sidecar/replay"
)

// flowTable prints flows, as a table or as JSON.
type flowTable struct {
	table  *tabwriter.Writer
	json   *json.Encoder // or nil
	truth  bool
	headed bool
}

func newFlowTable(w io.Writer, r replayCmd) *flowTable {
	t := &flowTable{table: tabwriter.NewWriter(w, 0, 0, 2, ' ', 0), truth: r.Manifest != ""}
	if r.JSON {
		t.json = json.NewEncoder(w)
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

func (t *flowTable) row(c dataset.Capture, f *replay.Labelled) {
	l := &f.Label
	name := filepath.Base(c.File)
	if t.json != nil {
		t.json.Encode(flowRow{
			Capture: name, Flow: f.Flow, CommunityID: sink.CommunityID(f.Tuple), Start: float64(f.Start) / 1e6, Total: f.Packets,
			Label: l.Label, Score: l.Score, Stage: l.Stage, Packets: l.Packets, LatencyUS: l.LatencyUS,
			Model: l.Model, Reason: l.Reason, Truth: c.Label,
		})
		return
	}
	t.head()
	fmt.Fprintf(t.table, "%s\t%d\t%s\t%s\t%s\t%s\t%.3f\t%s\t%d\t%s", name, f.Flow, sink.ProtoName(f.Tuple.Proto),
		end(f.Tuple.SrcAddr().String(), f.Tuple.SrcPort), end(f.Tuple.DstAddr().String(), f.Tuple.DstPort),
		cell(l.Label), l.Score, cell(l.Stage), l.Packets, cell(l.Reason))
	if t.truth {
		fmt.Fprintf(t.table, "\t%s", c.Label)
	}
	fmt.Fprintln(t.table)
}

func (t *flowTable) head() {
	if t.headed {
		return
	}
	t.headed = true
	head := "capture\tflow\tproto\toriginator\tresponder\tlabel\tscore\tstage\tpackets\treason"
	if t.truth {
		head += "\ttruth"
	}
	fmt.Fprintln(t.table, head)
}

func end(addr string, port uint16) string {
	if strings.ContainsRune(addr, ':') {
		addr = "[" + addr + "]"
	}
	return addr + ":" + strconv.Itoa(int(port))
}

// cell keeps a column from being empty: no label came, or no stage was asked.
func cell(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func (t *flowTable) flush() error { return t.table.Flush() }
