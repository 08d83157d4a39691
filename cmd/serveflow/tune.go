package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"serveflow/models/tune"
	"serveflow/models/tune/search"
	"serveflow/sidecar/bundle"
	"serveflow/sidecar/operate/config"
	"serveflow/sidecar/operate/wholefile"
	"serveflow/sidecar/replay"
)

type tuneCmd struct {
	Candidates      string `required:"" type:"existingdir" placeholder:"DIR" help:"Trained candidates, as models/train writes them."`
	truthFlags      `embed:""`
	Output          string   `short:"o" required:"" placeholder:"DIR" help:"Directory of the bundle to write."`
	Report          string   `placeholder:"FILE" help:"HTML report to write. Default: the bundle's directory with .html appended."`
	Objective       string   `enum:"latency,rate,accuracy" default:"latency" help:"Objective: latency (lowest median), rate (least computing) or accuracy (best F1; with --precision most known kinds correct)."`
	MaxLoss         float64  `default:"0.01" help:"Largest loss of macro F1 against the slow model alone."`
	TargetError     float64  `default:"0.1" help:"Largest share of wrong labels among those given before the last stage."`
	MetaTargetError float64  `placeholder:"SHARE" help:"The same for headerless taps. Default: --target-error."`
	Delta           float64  `default:"0.1" help:"Probability that the true share is above the target although the calibration is not."`
	Alarms          []string `placeholder:"LABEL,..." help:"Labels that an analyst acts on. Default: those of the candidates."`
	Budget          float64  `default:"5" help:"Largest number of false alarms of each alarm label per 10,000 flows without an alarm."`
	Cover           float64  `default:"0" help:"Largest percentage of an alarm's flows that a stage before the last may label otherwise; beyond it the stage waits for more packets."`
	Precision       float64  `default:"0" help:"Smallest percentage of correct labels, without the background: the last stage gives unknown below a threshold per label. 0: one threshold, with the best F1."`
	Foreign         float64  `default:"0" help:"Largest percentage of background flows with another label, with --precision; 0: no limit."`
	WithoutPayload  string   `type:"existingdir" placeholder:"DIR" help:"Bundle to serve where privacy.payload is false; it is copied into the new one."`
	Stages          int      `default:"4" help:"Largest number of stages."`
	Slow            string   `placeholder:"NAME" help:"Candidate for the last stage, the reference of all measurements. Default: the best of those with the most packets."`
	Costs           string   `type:"existingfile" placeholder:"FILE" help:"Costs of an earlier run. Default: measure them, and write costs.json to the candidates."`
	Work            string   `placeholder:"DIR" help:"Directory for the candidates' answers, so that an interrupted run can continue. Default: asked in the candidates."`
	VerifyChecksums bool     `help:"Skip packets with bad checksums. Captures on the sending host have many, because of checksum offload."`
}

// Help is the text below the flags.
func (tuneCmd) Help() string {
	return `Nothing is trained. The cascade is chosen on the training sessions by cross-validation,
verified on the calibration sessions and measured on the test sessions. The same
captures, candidates and costs give the same bundle.`
}

// Validate implements kong's interface: what it refuses is a wrong command line.
func (c tuneCmd) Validate() error {
	for _, share := range []struct {
		flag  string
		value float64
	}{{"--target-error", c.TargetError}, {"--delta", c.Delta}} {
		if !(share.value > 0 && share.value < 1) {
			return fmt.Errorf("%s: %v: give a share between 0 and 1", share.flag, share.value)
		}
	}
	if !(c.MetaTargetError >= 0 && c.MetaTargetError < 1) {
		return fmt.Errorf("--meta-target-error: %v: give a share between 0 and 1", c.MetaTargetError)
	}
	if !(c.MaxLoss >= 0 && c.MaxLoss <= 1) {
		return fmt.Errorf("--max-loss: %v: give 0 to 1", c.MaxLoss)
	}
	for _, share := range []struct {
		flag  string
		value float64
		most  float64
	}{{"--budget", c.Budget, 10_000}, {"--cover", c.Cover, 100}, {"--foreign", c.Foreign, 100}} {
		if !(share.value >= 0 && share.value <= share.most) {
			return fmt.Errorf("%s: %v: give 0 to %v", share.flag, share.value, share.most)
		}
	}
	if !(c.Precision >= 0 && c.Precision < 100) {
		return fmt.Errorf("--precision: %v: give percent, less than 100", c.Precision)
	}
	if c.Stages < 1 || c.Stages > 4 {
		return fmt.Errorf("--stages: %d: give 1 to 4", c.Stages)
	}
	return nil
}

func (c tuneCmd) Run(ctx context.Context) error {
	list, _, err := c.list(nil)
	if err != nil {
		return err
	}
	conf := config.Default()
	result, err := tune.Run(ctx, tune.Options{
		Candidates: c.Candidates, Captures: list,
		Replay: replay.Options{IgnoreChecksums: !c.VerifyChecksums},
		Bundle: bundle.Options{Library: conf.ONNX.Library, Batch: conf.ONNX.Batch},
		Alarms: c.Alarms, WithoutPayload: c.WithoutPayload,
		Limits: search.Limits{Precision: c.Precision / 100, Foreign: c.Foreign / 100, Budget: c.Budget / 1e4, Cover: c.Cover / 100},
		Costs:  c.Costs, Work: c.Work,
		Objective: search.Objective(c.Objective), MaxLoss: c.MaxLoss, Target: c.TargetError, MetaTarget: c.MetaTargetError, Delta: c.Delta,
		Stages: c.Stages, Slow: c.Slow, Progress: steps(),
	})
	if err != nil {
		return err
	}
	if err := result.WriteBundle(c.Output); err != nil {
		return err
	}
	report := c.Report
	if report == "" {
		report = filepath.Clean(c.Output) + ".html"
	}
	if err := wholefile.Write(report, func(f *os.File) error { return result.WriteReport(f) }); err != nil {
		return err
	}
	if err := result.WriteText(os.Stdout); err != nil {
		return err
	}
	fmt.Printf("%s: the bundle\n%s: the report\n", c.Output, report)
	for _, why := range result.Unread {
		fmt.Fprintf(os.Stderr, "%v; it was left out\n", why)
	}
	return unreadError(len(result.Unread), len(list))
}

// steps returns a function that draws a bar for each step, or nil if standard error
// is not a terminal.
func steps() func(what string, done, total int) {
	if progress("") == nil {
		return nil
	}
	return func(what string, done, total int) { progress(what)(done, total) }
}
