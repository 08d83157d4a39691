package kafka

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"

	"serveflow/sidecar/output/decision"
	"serveflow/sidecar/output/jsonl"
	"serveflow/sidecar/output/spool"
)

// An item of the queue is a kind, the length of the key, the value and the key.
const (
	kindLabel = 0
	kindEVE   = 1
)

// idSize is the length of an event's id: half a SHA-256 in hexadecimal digits.
const idSize = 32

var errItem = errors.New("an item of the queue that is none")

// identity is what ids are made of beside the record: host and sensor, each after its length.
func identity(host, sensor string) []byte {
	b := binary.AppendUvarint(nil, uint64(len(host)))
	b = append(b, host...)
	b = binary.AppendUvarint(b, uint64(len(sensor)))
	return append(b, sensor...)
}

func appendID(dst []byte, of []byte) []byte {
	sum := sha256.Sum256(of)
	return hex.AppendEncode(dst, sum[:idSize/2])
}

// encoder makes items. It keeps what it can use again.
type encoder struct {
	host   []byte // as a member of JSON, with its comma
	name   string
	of     []byte
	sensor string
	prefix int // of is host and sensor up to here
	items  []byte
}

func newEncoder(host string) *encoder {
	quoted, _ := json.Marshal(host) // no string fails
	e := &encoder{name: host, host: append(append([]byte(`"host":`), quoted...), ',')}
	e.setSensor("")
	return e
}

func (e *encoder) setSensor(sensor string) {
	if e.prefix == 0 || sensor != e.sensor {
		e.of = identity(e.name, sensor)
		e.sensor, e.prefix = sensor, len(e.of)
	}
	e.of = e.of[:e.prefix]
}

// label appends the item of a decision to e.items.
func (e *encoder) label(r *decision.Record) {
	e.setSensor(r.Sensor)
	if r.Flow.IsString() {
		e.of = append(e.of, '"')
	}
	e.of = append(r.Flow.Append(e.of), 0)
	e.of = binary.LittleEndian.AppendUint64(e.of, uint64(r.Start))
	var id [idSize]byte
	appendID(id[:0], e.of)

	began := e.begin(kindLabel, id[:], e.host)
	brace := len(e.items)
	e.items = r.Append(e.items)
	// The line goes on where its brace was, and ends without its newline.
	e.items = append(e.items[:brace], e.items[brace+1:len(e.items)-1]...)
	key := id[:]
	if _, rest, ok := bytes.Cut(e.items[brace:], communityKey); ok {
		key, _, _ = bytes.Cut(rest, []byte{'"'})
	}
	e.end(began, key)
}

// communityKey is what stands before the Community ID in a line; within a text of the
// line its quotes would be escaped.
var communityKey = []byte(`,"community_id":"`)

// eve appends the item of a record of EVE, a JSON object, to e.items. A record that names
// its host, which is Suricata's sensor-name, keeps that name.
func (e *encoder) eve(sensor string, record []byte) {
	e.setSensor(sensor)
	e.of = append(e.of, record...)
	var id [idSize]byte
	appendID(id[:0], e.of)
	key, host := id[:], e.host
	for name, value := range jsonl.Members(record) {
		switch string(name) {
		case "community_id":
			if text := jsonl.Unquote(value); len(text) > 0 && len(text) < 256 {
				key = text
			}
		case "host":
			host = nil
		}
	}
	began := e.begin(kindEVE, id[:], host)
	rest := bytes.TrimSpace(record[bytes.IndexByte(record, '{')+1:])
	if rest[0] == '}' {
		e.items = e.items[:len(e.items)-1]
	}
	e.items = append(e.items, rest...)
	e.end(began, key)
	e.of = e.of[:e.prefix]
}

// begin begins an item with the members that every record begins with, the last comma
// included.
func (e *encoder) begin(kind byte, id, host []byte) (began int) {
	began = len(e.items)
	e.items = append(spool.BeginItem(e.items), kind, 0)
	e.items = append(e.items, `{"event":{"id":"`...)
	e.items = append(e.items, id...)
	e.items = append(e.items, `"},`...)
	e.items = append(e.items, host...)
	return began
}

func (e *encoder) end(began int, key []byte) {
	e.items = append(e.items, key...)
	e.items[began+spool.ItemHead+1] = byte(len(key))
	spool.EndItem(e.items, began)
}

// decode is what an item holds. Its slices are the item's.
func decode(item []byte) (kind byte, key, value []byte, err error) {
	if len(item) < 2 || len(item) < 2+int(item[1]) || item[0] > kindEVE {
		return 0, nil, nil, errItem
	}
	n := len(item) - int(item[1])
	return item[0], item[n:], item[2:n], nil
}
