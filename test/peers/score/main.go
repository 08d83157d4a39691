// Score is what the other evaluators in test/peers are compared with: it scores
// rows with the sidecar's own, and tells its CPU time as they do, as a line of
// JSON.
package main

import (
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"syscall"
	"time"

	"serveflow/sidecar/model"
	"serveflow/sidecar/model/forest"
	"serveflow/sidecar/model/leaves"
	"serveflow/sidecar/model/lightgbm"
)

func main() {
	o := options{}
	flag.StringVar(&o.model, "model", "", "LightGBM `text`")
	flag.IntVar(&o.classes, "classes", 0, "its classes")
	flag.BoolVar(&o.reference, "reference", false, "use leaves, not the compiled forest")
	flag.StringVar(&o.rows, "rows", "", "`file` of float32, one row after the other")
	flag.IntVar(&o.batch, "batch", 1, "rows scored at once")
	flag.StringVar(&o.probs, "probs", "", "write float32 to this `file`")
	flag.Float64Var(&o.seconds, "seconds", 3, "how much CPU time it takes")
	flag.Parse()
	if err := o.run(); err != nil {
		fmt.Fprintln(os.Stderr, "score:", err)
		os.Exit(1)
	}
}

type options struct {
	model, rows, probs string
	classes, batch     int
	reference          bool
	seconds            float64
}

func (o options) run() error {
	text, err := os.ReadFile(o.model)
	if err != nil {
		return err
	}
	e, err := lightgbm.Parse(text, o.classes)
	if err != nil {
		return err
	}
	m := forest.New(e)
	if o.reference {
		if m, err = leaves.New(e); err != nil {
			return err
		}
	}
	data, err := os.ReadFile(o.rows)
	if err != nil {
		return err
	}
	width := len(e.Columns)
	rows := make([]float32, len(data)/4)
	for i := range rows {
		rows[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	n := len(rows) / width
	if n == 0 || n*width != len(rows) || o.batch < 1 {
		return fmt.Errorf("%d values are no rows of %d columns", len(rows), width)
	}
	probs := make([]float32, n*e.Classes)
	s, err := m.NewScorer()
	if err != nil {
		return err
	}
	defer s.Close()
	pass := func() error { return o.pass(s, probs, rows, n, width, e.Classes) }
	if err := pass(); err != nil {
		return err
	}
	out := make([]byte, 0, 4*len(probs))
	for _, p := range probs {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(p))
	}
	if err := os.WriteFile(o.probs, out, 0o644); err != nil {
		return err
	}
	done, start, used := 0, cpu(), 0.0
	for used < o.seconds {
		if err := pass(); err != nil {
			return err
		}
		done, used = done+n, (cpu() - start).Seconds()
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"done": done, "cpu_s": used})
}

// pass scores all rows, a batch at a time.
func (o options) pass(s model.Scorer, probs, rows []float32, n, width, classes int) error {
	for i := 0; i < n; i += o.batch {
		to := min(i+o.batch, n)
		if err := s.Score(probs[i*classes:to*classes], rows[i*width:to*width], to-i); err != nil {
			return err
		}
	}
	return nil
}

// cpu is the user and system time of this process.
func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
