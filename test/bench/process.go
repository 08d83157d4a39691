package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"serveflow/sidecar"
	"serveflow/sidecar/bundle"
	"serveflow/sidecar/model/remote"
	"serveflow/sidecar/operate/config"
	"serveflow/sidecar/tap/wire"
)

// setup is the first line to the process of a sidecar; after that, each line
// asks for a Sample, and the end of its input stops it.
type setup struct {
	Bundle    string   `json:"bundle"`
	Mode      Mode     `json:"mode"`
	Shards    int      `json:"shards"`
	Inference []string `json:"inference"` // where remote stages are asked
	Dir       string   `json:"dir"`       // for the socket and the label log
	Profile   string   `json:"profile"`
	// Echo has the process answer flows without a sidecar, and ask for this.
	Echo *wire.Welcome `json:"echo,omitempty"`
}

// Serve is the process of a sidecar: it reads commands, and answers, in
// lines of JSON.
func Serve(in io.Reader, out io.Writer) (err error) {
	lines, answers := json.NewDecoder(in), json.NewEncoder(out)
	var o setup
	if err := lines.Decode(&o); err != nil {
		return fmt.Errorf("this command is started by \"serveflow bench\": %w", err)
	}
	if o.Echo != nil {
		return serveEcho(&o, lines, answers)
	}
	b, err := bundle.Open(o.Bundle, bundle.Options{Batch: config.Default().ONNX.Batch, Inference: remote.Options{Endpoints: o.Inference}})
	if err != nil {
		return err
	}
	defer b.Close()
	b = o.Mode.of(b)
	if b.Packet == nil {
		return errors.New("the bundle has no cascade for taps that see headers")
	}
	var stages []string
	for _, stage := range b.Packet.Stages {
		stages = append(stages, stage.Name)
	}
	c := config.Default()
	c.Listen.Socket, c.Labels.Path = socket(o.Dir), filepath.Join(o.Dir, "labels.jsonl")
	c.Flow.Shards = o.Shards
	s, err := sidecar.Start(sidecar.Options{Config: c, Bundle: b, Log: zerolog.New(os.Stderr).Level(zerolog.WarnLevel)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop(context.Background())) }()
	if o.Profile != "" {
		f, err := os.Create(o.Profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	if err := inUse(b); err != nil {
		return err
	}
	return answer(lines, answers, func() (*Sample, error) { return sample(s.Metrics, stages) })
}

func serveEcho(o *setup, lines *json.Decoder, answers *json.Encoder) error {
	stop, err := echo(socket(o.Dir), *o.Echo)
	if err != nil {
		return err
	}
	return errors.Join(answer(lines, answers, func() (*Sample, error) { return &Sample{Time: time.Now()}, nil }), stop())
}

// answer answers each line with a sample, and the first before.
func answer(lines *json.Decoder, answers *json.Encoder, sample func() (*Sample, error)) error {
	for {
		sample, err := sample()
		if err != nil {
			return err
		}
		if err := answers.Encode(sample); err != nil {
			return err
		}
		var ask struct{}
		if err := lines.Decode(&ask); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// inUseTime is how long inference servers may take to be in use.
const inUseTime = 30 * time.Second

// inUse waits until all inference servers that remote stages ask are in use.
func inUse(b *bundle.Bundle) error {
	for until := time.Now().Add(inUseTime); ; time.Sleep(10 * time.Millisecond) {
		out := ""
		for _, m := range b.Remotes() {
			if m.Ready() < m.Servers() {
				out = m.Model
			}
		}
		if out == "" {
			return nil
		} else if time.Now().After(until) {
			return fmt.Errorf("a server of the remote stage's model %q is not fit for use after %v; serveflow check says why", out, inUseTime)
		}
	}
}

func socket(dir string) string { return filepath.Join(dir, "serveflow.sock") }

// process is a sidecar in a process of its own.
type process struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *json.Decoder
	stderr strings.Builder
	dir    string
	idle   *Sample // before any flow
}

// start starts a sidecar, on the given processors.
func start(ctx context.Context, command []string, o setup, cpus []int) (*process, error) {
	dir, err := os.MkdirTemp("", "serveflow-bench-")
	if err != nil {
		return nil, err
	}
	o.Dir = dir
	p := &process{cmd: exec.CommandContext(ctx, command[0], command[1:]...), dir: dir}
	p.cmd.Stderr = &p.stderr
	p.cmd.WaitDelay = time.Second
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		p.out = json.NewDecoder(out)
		err = p.launch(cpus)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if p.idle, err = p.ask(o); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

// launch starts the process from a thread that is bound to cpus, which it
// inherits.
func (p *process) launch(cpus []int) error {
	if len(cpus) == 0 {
		return p.cmd.Start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := bindThread(cpus)
	if err != nil {
		return err
	}
	return errors.Join(p.cmd.Start(), before.restore())
}

// ask sends a line and returns the answer.
func (p *process) ask(line any) (*Sample, error) {
	if err := json.NewEncoder(p.in).Encode(line); err != nil {
		return nil, fmt.Errorf("the sidecar has ended: %w", err)
	}
	s := new(Sample)
	if err := p.out.Decode(s); err != nil {
		return nil, fmt.Errorf("the sidecar has ended: %w", err)
	}
	return s, nil
}

func (p *process) sample() (*Sample, error) { return p.ask(struct{}{}) }

// stop ends the process and returns why it failed, if it did.
func (p *process) stop() error {
	p.in.Close()
	err := p.cmd.Wait()
	if err != nil {
		err = fmt.Errorf("the sidecar: %w: %s", err, strings.TrimSpace(p.stderr.String()))
	}
	return errors.Join(err, os.RemoveAll(p.dir))
}
