package groundtruth

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/operate/tomltext"
	"serveflow/sidecar/output/communityid"
)

// Labels knows the labels of flows. It may be used by many goroutines at once.
type Labels struct {
	// Path is that of the file that it was read from.
	Path string
	Read Read

	digest   string
	rules    rules
	seed     maphash.Seed
	flows    index[line]       // by Community ID, and capture if it names one; untimed: of any time
	conns    index[connection] // by Community ID
	servers  index[uint32]     // names, by uid; without time
	answers  index[answered]   // by addresses of client and server
	words    words             // of lines of lists
	names    words
	services words
}

// line is a line of a list of flows.
type line struct {
	label, detail uint32 // in Labels.words
	number        int
}

// connection is a row of conn.log.
type connection struct {
	uid     uint64
	service uint32
}

// answered is an address of a DNS answer.
type answered struct {
	until int64 // µs since the epoch
	name  uint32
}

// words are texts that many rows share, by number.
type words struct {
	text []string
	by   map[string]uint32
}

func (w *words) number(text []byte) uint32 {
	if n, ok := w.by[string(text)]; ok {
		return n
	}
	if w.by == nil {
		w.by = map[string]uint32{}
	}
	n := uint32(len(w.text))
	w.text = append(w.text, string(text))
	w.by[w.text[n]] = n
	return n
}

// Read counts what was read.
type Read struct {
	Logs        int // files
	Connections int // rows of conn.log
	Names       int // rows with the name of a server
	Answers     int // addresses in DNS answers
	Flows       int // lines of lists of flows
	// Trouble says which files are torn or have lines that cannot be read.
	Trouble []string
}

// String returns the counters as a line for a person.
func (r Read) String() string {
	return fmt.Sprintf("%d logs: %d connections, %d server names, %d addresses in DNS answers; %d listed flows",
		r.Logs, r.Connections, r.Names, r.Answers, r.Flows)
}

// Error says what is wrong with a file of labels, or with what it names.
type Error struct {
	Path string
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("labels %s: %v", e.Path, e.Err) }

func (e *Error) Unwrap() error { return e.Err }

// file is the text of a file of labels.
type file struct {
	Logs     []string       `toml:"logs"`
	Flows    []string       `toml:"flows"`
	Names    map[string]any `toml:"names"`
	Services map[string]any `toml:"services"`
}

// Open reads a file of labels and everything that it names. What is wrong with it
// is an *Error that names the key, or file and line.
func Open(path string) (*Labels, error) {
	l, err := open(path)
	if err != nil {
		return nil, &Error{Path: path, Err: err}
	}
	return l, nil
}

func open(path string) (*Labels, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := tomltext.Check(text); err != nil {
		return nil, err
	}
	var f file
	meta, err := toml.Decode(string(text), &f)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, key := range meta.Undecoded() {
		if key[0] == "names" || key[0] == "services" {
			continue // a name in parts, which newRules speaks of
		}
		errs = append(errs, fmt.Errorf("%s: no such key: there are logs, flows, names and services", key))
	}
	l := &Labels{Path: path, seed: maphash.MakeSeed()}
	if l.rules, err = newRules(f.Names, f.Services); err != nil {
		errs = append(errs, err)
	}
	ruled := len(f.Names)+len(f.Services) > 0
	switch {
	case len(f.Logs) == 0 && len(f.Flows) == 0:
		errs = append(errs, errors.New("names nothing to read: give logs or flows"))
	case len(f.Logs) > 0 && !ruled:
		errs = append(errs, errors.New("logs: no rule says what they mean: give names or services"))
	case len(f.Logs) == 0 && ruled:
		errs = append(errs, errors.New("names and services are of logs: give logs"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	sum := sha256.New()
	sum.Write(text)
	in := reading{Labels: l, dir: filepath.Dir(path), sum: sum}
	if err := errors.Join(in.lists(f.Flows), in.logs(f.Logs)); err != nil {
		return nil, err
	}
	l.digest = hex.EncodeToString(sum.Sum(nil))
	return l, nil
}

// Digest is of all that was read: the same digest, the same labels.
func (l *Labels) Digest() string { return l.digest }

// hash has a seed of its own in each Labels, so that nobody can make ids collide.
func (l *Labels) hash(b []byte) uint64 { return maphash.Bytes(l.seed, b) }

// community is what flows between two ends are found by.
func (l *Labels) community(t packet.Tuple) (key uint64, ok bool) {
	var buf [32]byte
	id := communityid.Append(buf[:0], t)
	return l.hash(id), len(id) > 0
}

// inCapture is the key of lines that name their capture.
func (l *Labels) inCapture(key uint64, name string) uint64 {
	return l.hash(append(binary.LittleEndian.AppendUint64(nil, key), name...))
}

// captureName is what a capture goes by in lists: its name, packed or not.
func captureName(path string) string {
	name := filepath.Base(filepath.FromSlash(path))
	for _, packed := range []string{".gz", ".zst"} {
		name = strings.TrimSuffix(name, packed)
	}
	return name
}

// ends are a client and a server, without ports.
func (l *Labels) ends(client, server [16]byte) uint64 {
	return l.hash(append(client[:], server[:]...))
}

// remembered is how long clients may use a DNS answer, at least: they keep answers
// beyond their TTL, and connections of one page follow each other.
const remembered = time.Hour
