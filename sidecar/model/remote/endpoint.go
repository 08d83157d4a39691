package remote

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"serveflow/sidecar/model/remote/oip"
)

// quick has gRPC connect again soon after a server was away.
var quick = grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: 200 * time.Millisecond, Multiplier: 1.6, Jitter: .2, MaxDelay: 2 * time.Second},
	MinConnectTimeout: 2 * time.Second,
}

// endpoint is one server.
type endpoint struct {
	model   *Model
	address string
	conn    *grpc.ClientConn
	client  oip.GRPCInferenceServiceClient
	ready   atomic.Bool
	under   atomic.Int32 // requests under way
	late    atomic.Int32 // in a row
}

// watch has the server in use when it is right, until ctx is done.
func (e *endpoint) watch(ctx context.Context) {
	tick := time.NewTicker(Probe)
	defer tick.Stop()
	said := ""
	for {
		if !e.ready.Load() {
			err := e.prove(ctx)
			if err == nil {
				e.late.Store(0)
				e.ready.Store(true)
			}
			if ctx.Err() != nil {
				return
			}
			if text := fmt.Sprint(err); text != said && e.model.options.OnChange != nil {
				said = text
				e.model.options.OnChange(e.address, err)
			}
		} else {
			said = fmt.Sprint(nil)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// prove asks the server for the golden rows.
func (e *endpoint) prove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	answer, err := e.client.ModelReady(ctx, &oip.ModelReadyRequest{Name: e.model.Model, Version: e.model.Version})
	if err != nil {
		return fmt.Errorf("asking for model %s, version %s: %w", e.model.Model, e.model.Version, err)
	}
	if !answer.GetReady() {
		return fmt.Errorf("model %s, version %s, is not ready", e.model.Model, e.model.Version)
	}
	rows, n := e.model.golden.All()
	probs := make([]float32, n*e.model.spec.Classes)
	r := newRequest(e.model)
	if err := e.infer(ctx, r, probs, rows, n); err != nil {
		return err
	}
	return e.model.golden.Compare(probs, e.model.options.Tolerance)
}

// out takes the server out of use.
func (e *endpoint) out(err error) {
	if e.ready.Swap(false) && e.model.options.OnChange != nil {
		e.model.options.OnChange(e.address, err)
	}
}

// ask asks a server that is in use, and takes it out of use if that is due.
func (e *endpoint) ask(ctx context.Context, r *request, probs, rows []float32, n int) error {
	e.under.Add(1)
	defer e.under.Add(-1)
	err := e.infer(ctx, r, probs, rows, n)
	switch {
	case err == nil:
		e.late.Store(0)
	case errors.Is(err, ErrLate):
		if e.late.Add(1) >= lateInRow {
			e.out(err)
		}
	default:
		e.out(err)
	}
	return err
}

// request is what a scorer uses again for each request.
type request struct {
	message oip.ModelInferRequest
	input   *oip.ModelInferRequest_InferInputTensor
	raw     []byte
}

func newRequest(m *Model) *request {
	r := &request{input: &oip.ModelInferRequest_InferInputTensor{Name: m.Input, Datatype: "FP32", Shape: []int64{0, int64(len(m.spec.Columns))}}}
	r.message.ModelName, r.message.ModelVersion = m.Model, m.Version
	r.message.Inputs = []*oip.ModelInferRequest_InferInputTensor{r.input}
	return r
}

// infer asks the server for the probabilities of n rows, and believes nothing that it
// does not see.
func (e *endpoint) infer(ctx context.Context, r *request, probs, rows []float32, n int) error {
	r.raw = r.raw[:0]
	for _, v := range rows {
		r.raw = binary.LittleEndian.AppendUint32(r.raw, math.Float32bits(v))
	}
	r.input.Shape[0] = int64(n)
	r.message.RawInputContents = [][]byte{r.raw}
	answer, err := e.client.ModelInfer(ctx, &r.message, grpc.MaxCallRecvMsgSize(maxAnswer+16*len(probs)))
	switch {
	case err == nil:
		return e.model.read(answer, probs, n)
	case ctx.Err() != nil, status.Code(err) == codes.DeadlineExceeded:
		return fmt.Errorf("%w (%s)", ErrLate, e.address)
	}
	return fmt.Errorf("%w: %s: %w", ErrDown, e.address, err)
}

// read takes the probabilities of n rows out of an answer.
func (m *Model) read(answer *oip.ModelInferResponse, probs []float32, n int) error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrWrong, fmt.Sprintf(format, args...))
	}
	if answer.GetModelName() != m.Model || answer.GetModelVersion() != m.Version {
		return wrong("it is of %.80q, version %.80q", answer.GetModelName(), answer.GetModelVersion())
	}
	for i, out := range answer.GetOutputs() {
		if out.GetName() != m.Output {
			continue
		}
		if s := out.GetShape(); len(s) != 2 {
			return wrong("its shape has %d dimensions", len(s))
		} else if s[0] != int64(n) || s[1] != int64(m.spec.Classes) {
			return wrong("its shape is %v", s)
		}
		var raw []byte
		if all := answer.GetRawOutputContents(); i < len(all) {
			raw = all[i]
		}
		if !values(probs, out, raw) {
			return wrong("%.20q with values that do not fit", out.GetDatatype())
		}
		return m.probabilities(probs)
	}
	return wrong("there is no output %q", m.Output)
}

// values copies a tensor, raw or not; false: its length or type is wrong.
func values(probs []float32, out *oip.ModelInferResponse_InferOutputTensor, raw []byte) bool {
	switch out.GetDatatype() {
	case "FP32":
		if list := out.GetContents().GetFp32Contents(); raw == nil {
			return len(list) == len(probs) && copy(probs, list) == len(probs)
		}
		if len(raw) != 4*len(probs) {
			return false
		}
		for i := range probs {
			probs[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
		return true
	case "FP64":
		list := out.GetContents().GetFp64Contents()
		if raw == nil && len(list) != len(probs) || raw != nil && len(raw) != 8*len(probs) {
			return false
		}
		for i := range probs {
			if raw == nil {
				probs[i] = float32(list[i])
			} else {
				probs[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:])))
			}
		}
		return true
	}
	return false
}

// probabilities checks that each row is one of probabilities.
func (m *Model) probabilities(probs []float32) error {
	for ; len(probs) > 0; probs = probs[m.spec.Classes:] {
		sum := float32(0)
		for _, p := range probs[:m.spec.Classes] {
			if !(p >= 0) { // NaN, too
				return fmt.Errorf("%w: %v is no probability", ErrWrong, p)
			}
			sum += p
		}
		if !(sum > .999 && sum < 1.001) {
			return fmt.Errorf("%w: probabilities sum to %v", ErrWrong, sum)
		}
	}
	return nil
}
