package groundtruth

import (
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"serveflow/sidecar/output/zeeklog"
)

// reading is the state of Open.
type reading struct {
	*Labels
	dir string    // paths are relative to it
	sum hash.Hash // of all that is read
}

// open opens a file whose content goes into the digest.
func (r *reading) open(path string) (io.Reader, func() error, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	return io.TeeReader(f, r.sum), f.Close, nil
}

// path is where a path of the file leads.
func (r *reading) path(path string) string {
	if path = filepath.FromSlash(path); filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(r.dir, path)
}

// wanted are the names of logs that are read in a folder, also rotated and packed:
// conn.log, ssl.10:00:00-11:00:00.log.gz, dns_20261123.log.
var wanted = regexp.MustCompile(`^(conn|ssl|quic|dns)[^a-zA-Z].*(log|json)(\.gz|\.zst)?$`)

// logs reads files, and the logs in folders and everything below them.
func (r *reading) logs(paths []string) error {
	for _, path := range paths {
		root, found, refused := r.path(path), false, error(nil)
		// WalkDir goes in lexical order, so what is read is the same every time.
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || path != root && !wanted.MatchString(d.Name()) {
				return err
			}
			err = r.log(path)
			if errors.Is(err, zeeklog.ErrFormat) && path != root {
				// Such as the conn-summary of zeekctl, a report for people.
				refused = fmt.Errorf("%s: %w", path, err)
				r.trouble("%s: no log of Zeek: it was passed over", path)
				return nil
			}
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			found = true
			return nil
		})
		if err == nil && !found && refused != nil {
			err = refused
		} else if err == nil && !found {
			err = fmt.Errorf("%s: no log of Zeek's conn, ssl, quic or dns is below it", root)
		}
		if err != nil {
			return fmt.Errorf("logs: %w", err)
		}
	}
	r.conns.sort()
	r.servers.sort()
	r.answers.sort()
	if r.Read.Names > 0 && r.Read.Connections == 0 {
		return errors.New("logs: there are names of servers and no conn.log, which says when their flows began: give it too")
	}
	return nil
}

// Fields that are read.
const (
	ts = iota
	uid
	origH
	origP
	respH
	respP
	proto
	state
	service
	server
	query
	answers
	ttls
)

var fields = []string{ts: "ts", uid: "uid", origH: "id.orig_h", origP: "id.orig_p", respH: "id.resp_h", respP: "id.resp_p",
	proto: "proto", state: "conn_state", service: "service", server: "server_name", query: "query", answers: "answers", ttls: "TTLs"}

func (r *reading) log(path string) error {
	in, done, err := r.open(path)
	if err != nil {
		return err
	}
	defer done()
	return r.read(in, path)
}

// read reads a log; messages name path.
func (r *reading) read(in io.Reader, path string) error {
	r.Read.Logs++
	log, err := zeeklog.NewReader(in, fields...)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		r.trouble("%s: the packed file is cut: nothing was read", path)
		return nil
	}
	if err != nil {
		return err
	}
	defer log.Close()
	odd, first := 0, 0
	for {
		err := log.Next()
		if err == io.EOF {
			break
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			r.trouble("%s: the packed file is cut: what comes before was read", path)
			break
		}
		if err != nil {
			return err
		}
		if !r.row(log) {
			if odd++; odd == 1 {
				first = log.Line()
			}
		}
	}
	if n, line := log.Broken(); n > 0 {
		r.trouble("%s:%d: no row of a log; %d of such lines were passed over", path, line, n)
	}
	if odd > 0 {
		r.trouble("%s:%d: no time or addresses that can be read; %d of such rows were passed over", path, first, odd)
	}
	return nil
}

func (r *reading) trouble(format string, args ...any) {
	r.Read.Trouble = append(r.Read.Trouble, fmt.Sprintf(format, args...))
}

// row takes a row of any log: what it has tells what it is. It returns false if
// it makes no sense.
func (r *reading) row(log *zeeklog.Reader) bool {
	switch {
	case len(log.Text(server)) > 0 && len(log.Text(uid)) > 0:
		r.Read.Names++
		r.servers = append(r.servers, entry[uint32]{key: r.hash(log.Text(uid)), value: r.names.number(log.Text(server))})
	case log.Text(state) != nil:
		return r.connection(log)
	case len(log.Text(query)) > 0:
		return r.answer(log)
	}
	return true
}

func (r *reading) connection(log *zeeklog.Reader) bool {
	at, timed := log.Time(ts)
	t, ok := zeeklog.Tuple(log.Text(origH), log.Text(origP), log.Text(respH), log.Text(respP), log.Text(proto))
	if !timed || !ok {
		return false
	}
	r.Read.Connections++
	if key, ok := r.community(t); ok { // none of protocols that Zeek does not know
		c := connection{r.hash(log.Text(uid)), r.services.number(log.Text(service))}
		r.conns = append(r.conns, entry[connection]{key, at, c})
	}
	return true
}

// longest is what a TTL is believed up to: the most that caches keep (RFC 8767).
const longest = 7 * 24 * time.Hour

func (r *reading) answer(log *zeeklog.Reader) bool {
	list := log.List(answers)
	if len(list) == 0 {
		return true // a question, or an answer that says no
	}
	at, timed := log.Time(ts)
	client := zeeklog.Addr(log.Text(origH))
	if !timed || !client.IsValid() {
		return false
	}
	ttls := log.List(ttls)
	for i, text := range list {
		address := zeeklog.Addr(text)
		if address.Is4() != client.Is4() || !address.IsValid() {
			continue // a name on the way, or an address of the other kind
		}
		keep := remembered
		if i < len(ttls) {
			if s, err := strconv.ParseFloat(string(ttls[i]), 64); err == nil && s > keep.Seconds() {
				keep = time.Duration(min(s, longest.Seconds()) * float64(time.Second))
			}
		}
		r.Read.Answers++
		// Of both, the addresses that a Tuple would have.
		t, _ := zeeklog.Tuple(log.Text(origH), nil, text, nil, nil)
		r.answers = append(r.answers, entry[answered]{r.ends(t.Src, t.Dst), at,
			answered{at + keep.Microseconds(), r.names.number(log.Text(query))}})
	}
	return true
}
