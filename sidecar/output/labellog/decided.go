package labellog

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"

	"serveflow/sidecar/output/jsonl"
	"serveflow/sidecar/output/logfile"
	"serveflow/sidecar/tap/wire"
)

// decidedBytes is how much of the end of the label logs is read. No tap sends
// packets of flows that were decided earlier.
const decidedBytes = 64 << 20

// Decided is the flows in a label log.
type Decided struct {
	flows map[decidedFlow]struct{}
}

type decidedFlow struct {
	sensor string
	id     wire.FlowID
}

// Has reports whether the flow was decided.
func (d *Decided) Has(sensor string, id wire.FlowID) bool {
	_, ok := d.flows[decidedFlow{sensor, id}]
	return ok
}

// Len is the number of flows.
func (d *Decided) Len() int { return len(d.flows) }

// ReadDecided reads which flows were decided most recently from the end of the
// label log at path and of its rotated files. A sidecar needs them after it was
// killed: a tap still sends packets of a flow whose label it has not received, and
// the flow must not be decided twice. Unreadable lines are skipped; a missing log,
// or one that is not a file, is empty.
func ReadDecided(path string) (*Decided, error) {
	d := &Decided{flows: map[decidedFlow]struct{}{}}
	path, err := logfile.Resolve(path) // rotated files are next to the target of a link
	if err != nil {
		return nil, err
	}
	left := int64(decidedBytes)
	for name, i := path, 1; left > 0; name, i = path+"."+strconv.Itoa(i), i+1 {
		n, err := d.readEnd(name, left)
		if errors.Is(err, fs.ErrNotExist) && i > 1 {
			break
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		left -= n
	}
	return d, nil
}

// readEnd reads at most the given number of bytes at the end of a file, and returns
// how many it read.
func (d *Decided) readEnd(path string, most int64) (int64, error) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() { // reading a FIFO would block
		return 0, err
	}
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	most = min(most, info.Size())
	if _, err := f.Seek(info.Size()-most, io.SeekStart); err != nil {
		return 0, err
	}
	return most, d.readLines(f)
}

func (d *Decided) readLines(from io.Reader) error {
	sensors := map[string]string{} // one copy of each
	r := bufio.NewReaderSize(from, 1<<16)
	for {
		line, err := r.ReadSlice('\n')
		if err == nil {
			d.read(line, sensors)
		} else if err == io.EOF {
			return nil // a torn last line was not decided
		} else if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

func (d *Decided) read(line []byte, sensors map[string]string) {
	line, _ = jsonl.CutEnd(line)
	if !jsonl.Valid(line) || jsonl.FirstByte(line) != '{' {
		return
	}
	var name, flow []byte
	for key, value := range jsonl.Members(line) {
		switch string(key) {
		case "sensor":
			name = value
		case "flow":
			flow = value
		}
	}
	if !jsonl.IsString(name) {
		return
	}
	var id wire.FlowID
	if u, err := strconv.ParseUint(string(flow), 10, 64); err == nil {
		id = wire.UintID(u)
	} else if !jsonl.IsString(flow) {
		return
	} else if id, err = wire.StringID(string(jsonl.Unquote(flow))); err != nil {
		return
	}
	name = jsonl.Unquote(name)
	sensor, ok := sensors[string(name)]
	if !ok {
		sensor = string(name)
		sensors[sensor] = sensor
	}
	d.flows[decidedFlow{sensor, id}] = struct{}{}
}
