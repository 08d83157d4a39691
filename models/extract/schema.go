package extract

import (
	"reflect"

	"github.com/parquet-go/parquet-go"
)

// group is the root of a schema whose columns keep their order; that of package
// parquet sorts them by name.
type group struct {
	parquet.Group // empty: what is common to groups
	fields        []parquet.Field
}

func (g group) Fields() []parquet.Field { return g.fields }

// field is a column of a group. Values are written column by column, never
// taken from a Go value.
type field struct {
	parquet.Node
	name string
}

func newField(name string, node parquet.Node) parquet.Field { return field{node, name} }

func (f field) Name() string { return f.name }

func (f field) Value(reflect.Value) reflect.Value { panic("extract: rows are not Go values") }
