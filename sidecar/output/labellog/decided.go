package labellog

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"

	"serveflow/sidecar/output/logfile"
	"serveflow/sidecar/tap/wire"
)

// decidedBytes is how much of the end of a label log is read, with the logs
// before it: what was decided earlier is no longer sent by any tap.
const decidedBytes = 64 << 20

// Decided are flows that stand in a label log already.
type Decided struct {
	flows map[decidedFlow]struct{}
}

type decidedFlow struct {
	sensor string
	id     wire.FlowID
}

// Has says whether the flow was decided.
func (d *Decided) Has(sensor string, id wire.FlowID) bool {
	_, ok := d.flows[decidedFlow{sensor, id}]
	return ok
}

// Len is the number of flows.
func (d *Decided) Len() int { return len(d.flows) }

// ReadDecided reads from the end of the label log at path, and of those that
// were rotated away from it, which flows were decided last. A sidecar that was
// killed needs it: a tap goes on sending packets of a flow whose label did not
// reach it, and the flow must not be decided twice. Lines that cannot be read
// are passed over; a log that is not there, or is no file, is empty.
func ReadDecided(path string) (*Decided, error) {
	d := &Decided{flows: map[decidedFlow]struct{}{}}
	path, err := logfile.Resolve(path) // rotated files lie beside what a link leads to
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

// readEnd reads the end of a file, so many bytes at most, and returns how many.
func (d *Decided) readEnd(path string, most int64) (int64, error) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() { // a FIFO could only be waited for
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
	var rec struct {
		Sensor *string         `json:"sensor"`
		Flow   json.RawMessage `json:"flow"`
	}
	if json.Unmarshal(line, &rec) != nil || rec.Sensor == nil {
		return
	}
	var id wire.FlowID
	var text string
	if u, err := strconv.ParseUint(string(rec.Flow), 10, 64); err == nil {
		id = wire.UintID(u)
	} else if err := json.Unmarshal(rec.Flow, &text); err != nil {
		return
	} else if id, err = wire.StringID(text); err != nil {
		return
	}
	sensor, ok := sensors[*rec.Sensor]
	if !ok {
		sensor = *rec.Sensor
		sensors[sensor] = sensor
	}
	d.flows[decidedFlow{sensor, id}] = struct{}{}
}
