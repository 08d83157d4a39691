package groundtruth

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"serveflow/sidecar/decompress"
	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/output/jsonl"
	"serveflow/sidecar/output/zeeklog"
)

// untimed is the time of a line that has none.
const untimed = math.MinInt64 / 2

// lists reads lists of flows.
func (r *reading) lists(paths []string) error {
	for _, path := range paths {
		path = r.path(path)
		in, done, err := r.open(path)
		if err == nil {
			err = errors.Join(r.list(in), done())
		}
		if err != nil {
			return fmt.Errorf("flows: %s: %w", path, err)
		}
	}
	r.flows.sort()
	return nil
}

// columns are where a list has what it says; -1: nowhere.
type columns struct {
	label, detail, file            int
	community, start               int
	src, sport, dst, dport, number int
}

func (r *reading) list(in io.Reader) error {
	plain, err := decompress.New(in)
	if err != nil {
		return err
	}
	defer plain.Close()
	list := csv.NewReader(plain)
	list.ReuseRecord = true
	header, err := list.Read()
	if err == io.EOF {
		return errors.New("the file is empty: its first line names the columns")
	}
	if err != nil {
		return err
	}
	header[0] = strings.TrimPrefix(header[0], "\ufeff") // as spreadsheets write it
	at := func(column string) int { return slices.Index(header, column) }
	c := columns{at("label"), at("detail"), at("file"), at("community_id"), at("start"), at("src"), at("sport"), at("dst"), at("dport"), at("proto")}
	if c.label < 0 || c.community < 0 && (c.src < 0 || c.dst < 0 || c.number < 0) {
		return fmt.Errorf("the columns are %s: it needs label, and community_id or src, sport, dst, dport and proto", strings.Join(header, ", "))
	}
	for {
		record, err := list.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err // names the line
		}
		if err := r.listed(record, c); err != nil {
			line, _ := list.FieldPos(0)
			return fmt.Errorf("line %d: %w", line, err)
		}
	}
}

// communityID is a Community ID of version 1: the base64 of a SHA-1.
var communityID = regexp.MustCompile(`^1:[A-Za-z0-9+/]{27}=$`)

// listed takes a line of a list.
func (r *reading) listed(record []string, c columns) error {
	get := func(column int) string {
		if column < 0 {
			return ""
		}
		return strings.TrimSpace(record[column])
	}
	label := get(c.label)
	if err := checkLabel(label); err != nil {
		return err
	}
	e := entry[line]{at: untimed, value: line{
		r.words.number([]byte(label)), r.words.number([]byte(get(c.detail))), r.Read.Flows + 1,
	}}
	if id := get(c.community); communityID.MatchString(id) {
		e.key = r.hash([]byte(id))
	} else if id != "" {
		return fmt.Errorf("community_id %q: is none of version 1", id)
	} else if t, err := ends(get(c.src), get(c.sport), get(c.dst), get(c.dport), get(c.number)); err != nil {
		return err
	} else {
		e.key, _ = r.community(t)
	}
	if start := get(c.start); start != "" {
		at, ok := jsonl.Micros([]byte(start))
		if !ok {
			at, ok = jsonl.Micros([]byte(strconv.Quote(start)))
		}
		if !ok {
			return fmt.Errorf("start %q: is neither seconds since the epoch nor a time such as 2026-11-23T12:51:24.412609Z", start)
		}
		e.at = at
	}
	if file := get(c.file); file != "" {
		e.key = r.inCapture(e.key, captureName(file))
	}
	r.Read.Flows++
	r.flows = append(r.flows, e)
	return nil
}

// ends is zeeklog.Tuple for what a person has written.
func ends(src, sport, dst, dport, proto string) (packet.Tuple, error) {
	t, ok := zeeklog.Tuple([]byte(src), []byte(sport), []byte(dst), []byte(dport), []byte(proto))
	if !ok {
		return t, fmt.Errorf("src %q, dst %q: are no two addresses of one kind", src, dst)
	}
	if t.Proto == 0 {
		return t, fmt.Errorf("proto %q: is neither tcp, udp, icmp, sctp nor a number", proto)
	}
	for _, port := range []string{sport, dport} {
		_, err := strconv.ParseUint(port, 10, 16)
		if err != nil && (port != "" || t.Proto == packet.TCP || t.Proto == packet.UDP) {
			return t, fmt.Errorf("port %q: is none", port)
		}
	}
	return t, nil
}
