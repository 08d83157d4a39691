package extract

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"serveflow/models/dataset"
	"serveflow/sidecar/features/feature"
)

// groupRows is how many rows a row group of the file has: columns are many and
// each has a price per row group, but a group is held in memory.
const groupRows = 4096

// metadataKey is the key of the file's metadata under which the features are
// described, so that the training data can be identified later.
const metadataKey = "serveflow.features"

// description is the JSON text under metadataKey.
type description struct {
	Packets  int      `json:"packets"`
	Sections []string `json:"sections"`
	Masks    []string `json:"masks"`
	Events   string   `json:"events"` // "packet" or "meta"
}

// table writes rows to a Parquet file.
type table struct {
	writer  *parquet.GenericWriter[any]
	packets int
	bits    []bool // by feature

	// The rows of the group that is being filled.
	captures []*dataset.Capture
	flows    []flowRow
	waits    []int64
	// Features column by column, groupRows each, as 8 bits where they are
	// bits of headers: index holds a feature's place among its kind.
	index  []int
	bytes  []int8
	floats []float32
	values []parquet.Value
}

func newTable(w io.Writer, spec feature.Spec, columns []string) *table {
	t := &table{packets: spec.Packets, values: make([]parquet.Value, groupRows)}
	fields := flowFields(spec.Packets)
	var nbits, nfloats int
	for _, name := range columns {
		isBit := feature.IsBit(name)
		t.bits = append(t.bits, isBit)
		if isBit {
			t.index = append(t.index, nbits)
			nbits++
			fields = append(fields, newField(name, parquet.Encoded(parquet.Int(8), &parquet.DeltaBinaryPacked)))
		} else {
			t.index = append(t.index, nfloats)
			nfloats++
			fields = append(fields, newField(name, parquet.Encoded(parquet.Leaf(parquet.FloatType), &parquet.RLEDictionary)))
		}
	}
	t.bytes = make([]int8, nbits*groupRows)
	t.floats = make([]float32, nfloats*groupRows)

	about := description{spec.Packets, spec.Sections, spec.Masks.Names(), "packet"}
	if spec.NoHeaders {
		about.Events = "meta"
	}
	text, err := json.Marshal(about)
	if err != nil {
		panic(err) // strings and a number
	}
	t.writer = parquet.NewGenericWriter[any](w,
		parquet.NewSchema("flows", group{fields: fields}),
		parquet.Compression(&zstd.Codec{Level: zstd.SpeedDefault}),
		// There are thousands of columns, and each has these buffers: one page
		// of values, and what it is encoded and compressed to, usually little.
		parquet.PageBufferSize(4*groupRows),
		parquet.ColumnPageBuffers(parquet.NewChunkBufferPool(1<<10)),
		parquet.DataPageStatistics(false),
		parquet.KeyValueMetadata(metadataKey, string(text)),
	)
	return t
}

// flowFields are the columns that stand before the features.
func flowFields(packets int) []parquet.Field {
	text := parquet.Encoded(parquet.String(), &parquet.RLEDictionary)
	number := parquet.Encoded(parquet.Int(64), &parquet.DeltaBinaryPacked)
	fields := []parquet.Field{
		newField("file", text), newField("split", text), newField("source", text), newField("label", text),
		newField("flow", number), newField("start_us", number), newField("packets", number),
	}
	for k := range packets {
		fields = append(fields, newField("wait_"+strconv.Itoa(k+1), number))
	}
	return fields
}

// add takes the rows of a batch, which it empties. c must stay unchanged.
func (t *table) add(c *dataset.Capture, b *batch) error {
	for len(b.flows) > 0 {
		n := min(len(b.flows), groupRows-len(t.flows))
		for range n {
			t.captures = append(t.captures, c)
		}
		t.features(b.features, n)
		t.flows = append(t.flows, b.flows[:n]...)
		t.waits = append(t.waits, b.waits[:n*t.packets]...)
		b.flows, b.waits, b.features = b.flows[n:], b.waits[n*t.packets:], b.features[n*len(t.bits):]
		if len(t.flows) == groupRows {
			if err := t.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// features adds the features of n rows to the columns.
func (t *table) features(rows []float32, n int) {
	width := len(t.bits)
	for j, isBit := range t.bits {
		at := t.index[j]*groupRows + len(t.flows)
		if isBit {
			column := t.bytes[at:][:n]
			for i := range column {
				column[i] = int8(rows[i*width+j])
			}
		} else {
			column := t.floats[at:][:n]
			for i := range column {
				column[i] = rows[i*width+j]
			}
		}
	}
}

// flush writes the row group.
func (t *table) flush() error {
	n := len(t.flows)
	if n == 0 {
		return nil
	}
	columns := t.writer.ColumnWriters()
	var err error
	write := func(fill func(to []parquet.Value)) {
		if err != nil {
			return
		}
		fill(t.values[:n])
		if _, err = columns[0].WriteRowValues(t.values[:n]); err == nil {
			err = columns[0].Flush()
		}
		columns = columns[1:]
	}
	each := func(value func(row int) parquet.Value) {
		write(func(to []parquet.Value) {
			for i := range to {
				to[i] = value(i)
			}
		})
	}
	each(func(i int) parquet.Value { return parquet.ValueOf(t.captures[i].File) })
	each(func(i int) parquet.Value { return parquet.ValueOf(t.captures[i].Split) })
	each(func(i int) parquet.Value { return parquet.ValueOf(t.captures[i].Source) })
	each(func(i int) parquet.Value { return parquet.ValueOf(t.flows[i].label) })
	each(func(i int) parquet.Value { return parquet.Int64Value(int64(t.flows[i].number)) })
	each(func(i int) parquet.Value { return parquet.Int64Value(t.flows[i].start) })
	each(func(i int) parquet.Value { return parquet.Int64Value(t.flows[i].packets) })
	for k := range t.packets {
		each(func(i int) parquet.Value { return parquet.Int64Value(t.waits[i*t.packets+k]) })
	}
	for j, isBit := range t.bits {
		at := t.index[j] * groupRows
		write(func(to []parquet.Value) { // these are thousands: no call per value
			if isBit {
				for i, v := range t.bytes[at:][:n] {
					to[i] = parquet.Int32Value(int32(v))
				}
			} else {
				for i, v := range t.floats[at:][:n] {
					to[i] = parquet.FloatValue(v)
				}
			}
		})
	}
	if err == nil {
		err = t.writer.Flush()
	}
	if err != nil {
		return fmt.Errorf("output: %w", err)
	}
	t.captures, t.flows, t.waits = t.captures[:0], t.flows[:0], t.waits[:0]
	return nil
}

// close writes the last row group and the file's end.
func (t *table) close() error {
	if err := t.flush(); err != nil {
		return err
	}
	if err := t.writer.Close(); err != nil {
		return fmt.Errorf("output: %w", err)
	}
	return nil
}
