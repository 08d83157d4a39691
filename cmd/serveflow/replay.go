package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"

	"serveflow/sidecar"
	"serveflow/sidecar/captures"
	"serveflow/sidecar/config"
	"serveflow/sidecar/evaluate"
	"serveflow/sidecar/replay"
	"serveflow/sidecar/sink"
)

type replayCmd struct {
	Captures        []string `arg:"" optional:"" type:"existingfile" help:"Captures: pcap or pcapng, also .gz or .zst."`
	Socket          string   `placeholder:"PATH" help:"Socket of a running sidecar. Default: the one of the default configuration."`
	Bundle          string   `placeholder:"NAME|DIR" help:"Start a sidecar of its own with this bundle instead."`
	Events          string   `enum:"packet,meta" default:"packet" help:"What the tap sees: packet (headers) or meta (none)."`
	Live            bool     `help:"Be a live tap: timeouts run on the wall clock, and a broken connection is made again."`
	Speed           speed    `default:"max" help:"max, real, or a factor such as 2x."`
	VerifyChecksums bool     `help:"Leave out packets with bad checksums. A host that captures its own traffic sees many that its network card has still to fill in."`
	JSON            bool     `help:"Print one JSON object a flow."`
	Manifest        string   `type:"existingfile" placeholder:"CSV" help:"Take the captures from this manifest, and compare with its labels."`
	Label           string   `placeholder:"COLUMN" help:"Column of the manifest that holds the label."`
	Split           []string `placeholder:"SPLIT" help:"Only captures of these splits of the manifest."`
	Every           int      `default:"1" placeholder:"N" help:"Only every Nth capture of the manifest."`
}

// Help is the text below the flags.
func (replayCmd) Help() string {
	return `Builds flows as Zeek would and sends their first packets over the sidecar's
socket, in its protocol. Prints every flow with its label.`
}

// speed is a factor of a capture's own pace, 0 for no pace at all.
type speed float64

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *speed) UnmarshalText(text []byte) error {
	switch word := string(text); word {
	case "max":
		*s = 0
	case "real":
		*s = 1
	default:
		f, err := strconv.ParseFloat(strings.TrimSuffix(word, "x"), 64)
		if err != nil || !(f > 0 && f <= 1e6) {
			return fmt.Errorf("%q: say max, real, or a factor such as 2x", word)
		}
		*s = speed(f)
	}
	return nil
}

func (r replayCmd) Run(ctx context.Context) (err error) {
	list, err := r.list()
	if err != nil {
		return configError{err}
	}
	socket := r.Socket
	if socket == "" {
		socket = config.Default().Listen.Socket
	}
	if r.Bundle != "" {
		b, err := openBundle(r.Bundle, config.Default())
		if err != nil {
			return err
		}
		defer func() { err = closing(b, err) }()
		own, err := sidecar.StartPrivate(b, discard{})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, own.Stop(context.WithoutCancel(ctx))) }()
		socket = own.Socket
	}
	out := newFlowTable(os.Stdout, r)
	var total replay.Report
	var truth, given []string
	for _, c := range list {
		flows, report, err := replay.LabelFile(ctx, socket, c.Path, replay.TapOptions{
			Sensor: filepath.Base(c.File), Capture: !r.Live, Reconnect: r.Live,
			Meta: r.Events == "meta", Speed: float64(r.Speed),
		}, replay.Options{IgnoreChecksums: !r.VerifyChecksums})
		for i := range flows {
			out.row(c, &flows[i])
			truth, given = append(truth, c.Label), append(given, flows[i].Label.Label)
		}
		if err != nil {
			return errors.Join(out.flush(), fmt.Errorf("%s: %w", c.Path, err))
		}
		total.Capture.Packets += report.Capture.Packets
		total.Capture.Flows += report.Capture.Flows
		total.Events += report.Events
		total.Labels += report.Labels
	}
	if err := out.flush(); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%d captures, %d packets, %d flows; %d packets sent, %d labels\n",
		len(list), total.Capture.Packets, total.Capture.Flows, total.Events, total.Labels)
	if r.Manifest != "" {
		s := evaluate.Score(truth, given)
		fmt.Fprintf(os.Stderr, "against the truth: F1 macro %.3f, weighted %.3f (unknown counted as wrong)\n", s.Macro, s.Weighted)
	}
	return nil
}

// list is the captures to play.
func (r replayCmd) list() ([]captures.Capture, error) {
	var list []captures.Capture
	for _, path := range r.Captures {
		list = append(list, captures.Capture{File: path, Path: path})
	}
	switch {
	case r.Manifest == "" && len(list) == 0:
		return nil, errors.New("nothing to play: name captures, or a --manifest with its --label")
	case r.Manifest == "":
		return list, nil
	case len(list) > 0:
		return nil, errors.New("name captures or a --manifest, not both")
	case r.Every < 1:
		return nil, fmt.Errorf("--every %d: at least 1", r.Every)
	}
	all, err := captures.Read(r.Manifest, r.Label, r.Split)
	for i := 0; i < len(all); i += r.Every {
		list = append(list, all[i])
	}
	return list, err
}

// flowTable prints flows, as a table or as JSON.
type flowTable struct {
	table *tabwriter.Writer
	json  *json.Encoder // or nil
	truth bool
}

func newFlowTable(w io.Writer, r replayCmd) *flowTable {
	t := &flowTable{table: tabwriter.NewWriter(w, 0, 0, 2, ' ', 0), truth: r.Manifest != ""}
	if r.JSON {
		t.json = json.NewEncoder(w)
		return t
	}
	head := "capture\tflow\tproto\toriginator\tresponder\tlabel\tscore\tstage\tpackets\treason"
	if t.truth {
		head += "\ttruth"
	}
	fmt.Fprintln(t.table, head)
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

func (t *flowTable) row(c captures.Capture, f *replay.Labelled) {
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
	fmt.Fprintf(t.table, "%s\t%d\t%s\t%s\t%s\t%s\t%.3f\t%s\t%d\t%s", name, f.Flow, sink.ProtoName(f.Tuple.Proto),
		end(f.Tuple.SrcAddr().String(), f.Tuple.SrcPort), end(f.Tuple.DstAddr().String(), f.Tuple.DstPort),
		l.Label, l.Score, l.Stage, l.Packets, l.Reason)
	if t.truth {
		fmt.Fprintf(t.table, "\t%s", c.Label)
	}
	fmt.Fprintln(t.table)
}

func end(addr string, port uint16) string {
	if strings.ContainsRune(addr, ':') {
		addr = "[" + addr + "]"
	}
	return addr + ":" + strconv.Itoa(int(port))
}

func (t *flowTable) flush() error { return t.table.Flush() }

// discard is where the decisions of a sidecar go that tells its tap all.
type discard struct{}

func (discard) Write([]sink.Record) {}
