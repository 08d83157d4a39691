package bench

import (
	"encoding/json"
	"fmt"
	"io"

	"serveflow/sidecar/operate/machine"
)

// Earlier is a report that was written as JSON, to compare with. It is an error if it
// comes from another machine: ratios would say more of the machines than of the programs.
func Earlier(from io.Reader) (*Report, error) {
	var r Report
	if err := json.NewDecoder(from).Decode(&r); err != nil {
		return nil, fmt.Errorf("no report of serveflow bench --json: %w", err)
	}
	if here := machine.Name(); r.Machine != here {
		return nil, fmt.Errorf("measured on %q, and this is %q: measure both programs here, with --base", r.Machine, here)
	}
	return &r, nil
}

// WriteEarlier writes how this report compares with an earlier one of the machine, mode
// by mode.
func (r *Report) WriteEarlier(w io.Writer, before *Report) error {
	for _, m := range r.Modes {
		for _, b := range before.Modes {
			if m.Mode != b.Mode || b.FlowsPerCPU.Median == 0 {
				continue
			}
			if _, err := fmt.Fprintf(w, "%s: %.2f times the earlier report, which has %.0f; other programs ran beside each of them\n", m.Mode,
				m.FlowsPerCPU.Median/b.FlowsPerCPU.Median, b.FlowsPerCPU.Median); err != nil {
				return err
			}
		}
	}
	return nil
}
