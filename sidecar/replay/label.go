package replay

import (
	"context"
	"errors"
	"fmt"
	"io"

	"serveflow/sidecar/tap/wire"
)

// Labelled is a flow of a capture and its label. Label.Reason is empty if none
// came.
type Labelled struct {
	Trace
	Label wire.Label
}

// LabelFile plays a capture to the sidecar that listens on socket and returns
// its flows with their labels, in the order of their numbers. t.OnLabel is its
// own. Of a capture that is cut, what is whole is played, and the error is
// returned with its flows.
func LabelFile(ctx context.Context, socket, path string, t TapOptions, o Options) ([]Labelled, Report, error) {
	traces, err := ReadTraces(path, o, 0)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, Report{}, err
	}
	flows := make([]Labelled, len(traces))
	for i, trace := range traces {
		flows[i].Trace = trace
	}
	strange := 0
	t.OnLabel = func(l wire.Label) {
		if n := l.Flow.Uint(); n >= 1 && n <= uint64(len(flows)) {
			flows[n-1].Label = l
		} else {
			strange++
		}
	}
	source, err := Open(path)
	if err != nil {
		return nil, Report{}, err
	}
	defer source.Close()
	tap, err := Dial(ctx, socket, t)
	if err != nil {
		return nil, Report{}, err
	}
	defer tap.Close()
	report, err := tap.Play(ctx, NewFlows(source, o))
	if err == nil && strange > 0 {
		err = fmt.Errorf("%d labels came for flows that the capture does not have", strange)
	}
	return flows, report, err
}
