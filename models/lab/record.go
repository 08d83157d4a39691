package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

type options struct {
	output   string
	sessions int
	parallel int
	packets  int
	seed     uint64
	labels   []string
	verbose  bool
	end      time.Time // no session is begun after it, if set
}

// columns of manifest.csv. late_us says how late the wire was at most with 95 % of
// its frames, to a factor of two: on a busy machine, times in a capture are
// those of the machine and not of the wire.
var columns = []string{"file", "label", "program", "split", "path", "port", "flows", "packets", "late_us"}

// tooLate is when a session is recorded a second time.
const tooLate = 4 * time.Millisecond

// recorder runs sessions and keeps the manifest.
type recorder struct {
	options
	mu     sync.Mutex
	rows   map[string][]string // by file
	failed int
	wanted int
}

// record runs the sessions that the output directory lacks.
func record(ctx context.Context, o options) error {
	if os.Getuid() != 0 {
		return errors.New("network namespaces need root")
	}
	sessions, err := o.plan()
	if err == nil {
		err = checkTools()
	}
	if err != nil {
		return err
	}
	r := &recorder{options: o, rows: map[string][]string{}, wanted: len(sessions)}
	if err := os.MkdirAll(filepath.Join(o.output, "pcap"), 0o755); err != nil {
		return err
	}
	if err := r.load(); err != nil {
		return err
	}
	sessions = slices.DeleteFunc(sessions, func(s session) bool { return r.rows[s.File] != nil })
	r.wanted = len(sessions)
	queue := make(chan session)
	var workers sync.WaitGroup
	for range o.parallel {
		workers.Go(func() {
			for s := range queue {
				r.take(ctx, s)
			}
		})
	}
feed:
	for _, s := range sessions {
		if !o.end.IsZero() && time.Now().After(o.end) {
			break
		}
		select {
		case queue <- s:
		case <-ctx.Done():
			break feed
		}
	}
	close(queue)
	workers.Wait()
	err = r.save()
	fmt.Printf("%s: %d sessions, %d failed\n", filepath.Join(o.output, "manifest.csv"), len(r.rows), r.failed)
	if err == nil && r.failed*20 > r.wanted {
		err = fmt.Errorf("%d of %d sessions failed", r.failed, r.wanted)
	}
	return errors.Join(err, ctx.Err())
}

// plan draws the sessions, a round of all labels after the other.
func (o *options) plan() ([]session, error) {
	chosen, err := choice(o.labels)
	if err != nil {
		return nil, err
	}
	var planned [][]session
	for i := range chosen {
		planned = append(planned, plan(&chosen[i], o.seed, o.sessions*chosen[i].each()))
	}
	var all []session
	for i := range o.sessions {
		for k, of := range planned {
			n := chosen[k].each()
			for _, s := range of[min(i*n, len(of)):min((i+1)*n, len(of))] {
				s.Packets, s.Verbose = o.packets, o.verbose
				all = append(all, s)
			}
		}
	}
	return all, nil
}

// take runs a session, a second time if it fails or is late: programs race on a
// busy machine.
func (r *recorder) take(ctx context.Context, s session) {
	var row []string
	var err error
	for range 2 {
		var late time.Duration
		if row, late, err = r.session(ctx, s); err == nil && late <= tooLate || ctx.Err() != nil {
			break
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		if ctx.Err() == nil {
			r.failed++
			fmt.Fprintf(os.Stderr, "lab: %v\n", err)
		}
		return
	}
	r.rows[s.File] = row
	if len(r.rows)%20 == 0 {
		if err := r.save(); err != nil {
			fmt.Fprintln(os.Stderr, "lab:", err)
		}
		fmt.Fprintf(os.Stderr, "%s %d sessions, %d failed\n", time.Now().UTC().Format(time.TimeOnly), len(r.rows), r.failed)
	}
}

// session runs one session in a process of its own.
func (r *recorder) session(ctx context.Context, s session) ([]string, time.Duration, error) {
	spec, err := json.Marshal(s)
	if err != nil {
		return nil, 0, err
	}
	final := filepath.Join(r.output, s.File)
	raw := final + ".raw"
	file, err := os.Create(raw)
	if err != nil {
		return nil, 0, err
	}
	defer os.Remove(raw)
	defer file.Close()
	results, report, err := os.Pipe()
	if err != nil {
		return nil, 0, err
	}
	defer results.Close()
	defer report.Close()

	// The kernel kills the child when the thread that started it ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ctx, cancel := context.WithTimeout(ctx, longest+15*time.Second)
	defer cancel()
	child := exec.CommandContext(ctx, "/proc/self/exe")
	child.Args = []string{sessionProcess, string(spec)}
	var said bytes.Buffer
	child.Stdout, child.Stderr = &said, &said
	child.WaitDelay = 5 * time.Second
	child.ExtraFiles = []*os.File{file, report}
	child.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
		Pdeathsig:  syscall.SIGKILL,
	}
	if err := child.Run(); err != nil {
		return nil, 0, fmt.Errorf("%s: %w\n%s", s.File, err, &said)
	}
	var res result
	if err := json.NewDecoder(results).Decode(&res); err != nil {
		return nil, 0, fmt.Errorf("%s: %w", s.File, err)
	}
	if s.Verbose {
		fmt.Fprintf(os.Stderr, "%s\n%s\n", s.File, &said)
	}
	flows, packets, err := pack(raw, final, s.Packets)
	if err == nil && flows == 0 {
		err = fmt.Errorf("no flow was recorded\n%s", &said)
	}
	if err != nil {
		os.Remove(final)
		return nil, 0, fmt.Errorf("%s: %w", s.File, err)
	}
	return []string{s.File, s.Label, s.Program, s.Split, s.Path.Name, strconv.Itoa(s.Port), strconv.Itoa(flows), strconv.Itoa(packets), fmt.Sprint(res.Late.Microseconds())}, res.Late, nil
}

// load reads the manifest of an earlier run, or of another recorder.
func (r *recorder) load() error {
	f, err := os.Open(filepath.Join(r.output, "manifest.csv"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return fmt.Errorf("%s: %w", f.Name(), err)
	}
	if len(rows) == 0 || !slices.Equal(rows[0], columns) {
		return fmt.Errorf("%s was not written by this program", f.Name())
	}
	for _, row := range rows[1:] {
		if r.rows[row[0]] == nil {
			r.rows[row[0]] = row
		}
	}
	return nil
}

// save writes the manifest, whole or not at all, with what other recorders have
// written to it since.
func (r *recorder) save() error {
	lock, err := os.Open(r.output)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("locking %s: %w", r.output, err)
	}
	if err := r.load(); err != nil {
		return err
	}
	rows := [][]string{columns}
	for _, row := range r.rows {
		rows = append(rows, row)
	}
	slices.SortFunc(rows[1:], func(a, b []string) int { return slices.Compare(a, b) })
	var text bytes.Buffer
	if err := csv.NewWriter(&text).WriteAll(rows); err != nil {
		return err
	}
	path := filepath.Join(r.output, "manifest.csv")
	if err := os.WriteFile(path+".new", text.Bytes(), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
