package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"serveflow/sidecar/operate/tomltext"
)

// Parse reads a TOML document over the defaults. Errors begin with name. A
// document that is not TOML gives one error; every other mistake gives one
// *KeyError, all of them joined in the order of their lines.
func Parse(data []byte, name string) (Config, error) {
	c := Default()
	if err := tomltext.Check(data); err != nil {
		return Config{}, fmt.Errorf("%s: %w", name, err)
	}
	var top map[string]toml.Primitive
	md, err := toml.Decode(string(data), &top)
	if err != nil {
		return Config{}, syntaxError(err, name)
	}
	d := document{md: &md, keys: c.keys(), found: map[string]entry{}}
	d.table("", top)

	// A value of the wrong type is reported once, without a second error for the
	// default that is still in its place.
	for _, e := range c.mistakes() {
		if !slices.ContainsFunc(d.errs, func(have *KeyError) bool { return have.Key == e.Key }) {
			if in, ok := d.found[e.Key]; ok {
				e.Line, e.Value = in.line, in.value
			}
			d.errs = append(d.errs, e)
		}
	}
	if len(d.errs) == 0 {
		return c, nil
	}
	slices.SortFunc(d.errs, func(a, b *KeyError) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), strings.Compare(a.Key, b.Key))
	})
	errs := make([]error, len(d.errs))
	for i, e := range d.errs {
		errs[i] = fmt.Errorf("%s: %w", name, e)
	}
	return Config{}, errors.Join(errs...)
}

// syntaxError reports where a document is not TOML.
func syntaxError(err error, name string) error {
	var p toml.ParseError
	if errors.As(err, &p) && p.Message != "" {
		return fmt.Errorf("%s: line %d: not valid TOML: %s", name, p.Position.Line, p.Message)
	}
	return fmt.Errorf("%s: not valid TOML: %w", name, err)
}

// document walks a decoded TOML document and sets the keys it knows.
type document struct {
	md    *toml.MetaData
	keys  map[string]setter
	found map[string]entry
	errs  []*KeyError
}

// entry is a known key of the document: its line and value.
type entry struct {
	line  int
	value string
}

// table sets the keys of one table; prefix is "" or the table's name with a dot.
func (d *document) table(prefix string, entries map[string]toml.Primitive) {
	for name, value := range entries {
		// Quoted if necessary, so that "a.b" is not taken for a.b.
		key := prefix + clip(toml.Key{name}.String())
		inner, isTable := d.inner(value)
		set, known := d.keys[key]
		switch {
		case known:
			d.set(key, set, value)
		case prefix == "" && slices.Contains(tables, key) && isTable:
			d.table(key+".", inner)
		case prefix == "" && slices.Contains(tables, key):
			d.fail(&KeyError{Key: key, Line: d.line(value), Want: "it is a table, written [" + key + "]"})
		default:
			d.fail(&KeyError{Key: key, Line: d.line(value), Want: d.hint(key, isTable), Unknown: true})
		}
	}
}

func (d *document) set(key string, set setter, value toml.Primitive) {
	var v any
	err := d.md.PrimitiveDecode(value, &v)
	in := entry{line: d.line(value), value: show(v)}
	d.found[key] = in
	if err == nil {
		err = set(v)
	}
	if err != nil {
		d.fail(&KeyError{Key: key, Line: in.line, Value: in.value, Want: err.Error()})
	}
}

func (d *document) fail(e *KeyError) { d.errs = append(d.errs, e) }

// line returns the line of a value's key. The TOML package reports it only in the
// error of a failed decoding, so a decoding is made to fail.
func (d *document) line(value toml.Primitive) int {
	var at toml.ParseError
	if err := d.md.PrimitiveDecode(value, refuse{}); errors.As(err, &at) && at.Position.Line > 0 {
		return at.Position.Line
	}
	// A table that only dotted keys imply has no line of its own.
	first := 0
	inner, _ := d.inner(value)
	for _, v := range inner {
		if n := d.line(v); first == 0 || n < first {
			first = n
		}
	}
	return first
}

// inner returns the entries of a table; false: the value is not a table.
func (d *document) inner(value toml.Primitive) (map[string]toml.Primitive, bool) {
	// Decoding something else into a map is not an error, so the type is checked
	// first.
	var v any
	if err := d.md.PrimitiveDecode(value, &v); err != nil {
		return nil, false
	}
	if _, ok := v.(map[string]any); !ok {
		return nil, false
	}
	var inner map[string]toml.Primitive
	err := d.md.PrimitiveDecode(value, &inner)
	return inner, err == nil
}

// refuse fails to decode anything.
type refuse struct{}

func (refuse) UnmarshalTOML(any) error { return errRefused }

var errRefused = errors.New("refused")
