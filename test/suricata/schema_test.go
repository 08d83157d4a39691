package suricata

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// schema is a JSON Schema, of which it knows what EVE's schema uses.
type schema struct {
	root     any // what "#/…" refers to
	node     any
	patterns map[string]*regexp.Regexp
}

// annotations say nothing about what is valid.
var annotations = []string{"$comment", "$defs", "$id", "$schema", "title", "description", "desription",
	"examples", "keywords", "optional", "suricata"}

// patch is the operation of the JSON patch (RFC 6902) eve-schema.json.
type patch struct {
	Op, Path string
	Value    any
}

func readPatch(t *testing.T) patch {
	t.Helper()
	text, err := os.ReadFile("../../suricata-lua/eve-schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []patch
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 || all[0].Op != "add" || all[0].Path != "/properties/serveflow" {
		t.Fatalf("the patch does something else: %+v", all)
	}
	return all[0]
}

// patchSchema is the schema of the object that the patch adds.
func patchSchema(t *testing.T) schema {
	t.Helper()
	v := readPatch(t).Value
	return schema{v, v, map[string]*regexp.Regexp{}}
}

// eveSchemas are Suricata's schema of EVE records and the patched one, if it is
// at hand.
func eveSchemas(t *testing.T) (own, patched schema, ok bool) {
	t.Helper()
	path := os.Getenv("SERVEFLOW_EVE_SCHEMA")
	if path == "" {
		t.Log("NOT HELD AGAINST SURICATA'S SCHEMA, against ours alone: SERVEFLOW_EVE_SCHEMA does not name its etc/schema.json")
		return schema{}, schema{}, false
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	read := func() map[string]any {
		var root map[string]any
		if err := json.Unmarshal(text, &root); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		return root
	}
	without, with := read(), read()
	with["properties"].(map[string]any)["serveflow"] = readPatch(t).Value
	return schema{without, without, map[string]*regexp.Regexp{}}, schema{with, with, map[string]*regexp.Regexp{}}, true
}

// validate says what is wrong with a JSON text.
func (s schema) validate(text []byte) error {
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		return err
	}
	return s.check(s.node, v)
}

func (s schema) check(node, v any) error {
	rules, ok := node.(map[string]any)
	if !ok {
		return fmt.Errorf("a schema that is no object: %v", node)
	}
	for keyword, rule := range rules {
		if err := s.keyword(keyword, rule, rules, v); err != nil {
			return err
		}
	}
	return nil
}

func (s schema) keyword(keyword string, rule any, rules map[string]any, v any) error {
	object, _ := v.(map[string]any)
	list, _ := v.([]any)
	number, isNumber := v.(float64)
	switch keyword {
	case "$ref":
		return s.check(s.find(rule.(string)), v)
	case "type":
		types, ok := rule.([]any)
		if !ok {
			types = []any{rule}
		}
		if !slices.ContainsFunc(types, func(name any) bool { return is(name.(string), v) }) {
			return fmt.Errorf("%v is not of type %v", v, rule)
		}
	case "properties":
		for name, value := range object {
			if sub, ok := rule.(map[string]any)[name]; ok {
				if err := s.check(sub, value); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
		}
	case "required":
		for _, name := range rule.([]any) {
			if _, ok := object[name.(string)]; object != nil && !ok {
				return fmt.Errorf("%s is missing", name)
			}
		}
	case "additionalProperties":
		known, _ := rules["properties"].(map[string]any)
		for name, value := range object {
			if _, ok := known[name]; ok || rule == true {
				continue
			} else if rule == false {
				return fmt.Errorf("%s is not in the schema", name)
			} else if err := s.check(rule, value); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	case "items":
		for i, value := range list {
			if err := s.check(rule, value); err != nil {
				return fmt.Errorf("%d: %w", i, err)
			}
		}
	case "oneOf":
		fits := 0
		for _, sub := range rule.([]any) {
			if s.check(sub, v) == nil {
				fits++
			}
		}
		if fits != 1 {
			return fmt.Errorf("%v fits %d of oneOf", v, fits)
		}
	case "enum":
		if !slices.ContainsFunc(rule.([]any), func(one any) bool { return reflect.DeepEqual(one, v) }) {
			return fmt.Errorf("%v is none of %v", v, rule)
		}
	case "const":
		if !reflect.DeepEqual(rule, v) {
			return fmt.Errorf("%v is not %v", v, rule)
		}
	case "pattern":
		if text, ok := v.(string); ok && !s.pattern(rule.(string)).MatchString(text) {
			return fmt.Errorf("%q does not match %s", text, rule)
		}
	case "minLength":
		if text, ok := v.(string); ok && float64(utf8.RuneCountInString(text)) < rule.(float64) {
			return fmt.Errorf("%q is shorter than %v", text, rule)
		}
	case "minItems":
		if list != nil && float64(len(list)) < rule.(float64) {
			return fmt.Errorf("%d items", len(list))
		}
	case "minProperties":
		if object != nil && float64(len(object)) < rule.(float64) {
			return fmt.Errorf("%d properties", len(object))
		}
	case "minimum":
		if isNumber && number < rule.(float64) {
			return fmt.Errorf("%v is less than %v", v, rule)
		}
	case "maximum":
		if isNumber && number > rule.(float64) {
			return fmt.Errorf("%v is more than %v", v, rule)
		}
	default:
		if !slices.Contains(annotations, keyword) {
			return fmt.Errorf("the schema says %q, which is not checked", keyword)
		}
	}
	return nil
}

// is says whether a value has a type of JSON Schema.
func is(name string, v any) bool {
	switch v := v.(type) {
	case string:
		return name == "string"
	case bool:
		return name == "boolean"
	case nil:
		return name == "null"
	case float64:
		return name == "number" || name == "integer" && v == math.Trunc(v)
	case []any:
		return name == "array"
	}
	return name == "object"
}

// find follows a reference within the schema.
func (s schema) find(ref string) any {
	node := s.root
	for name := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		object, _ := node.(map[string]any)
		node = object[name]
	}
	return node
}

func (s schema) pattern(text string) *regexp.Regexp {
	if s.patterns[text] == nil {
		s.patterns[text] = regexp.MustCompile(text)
	}
	return s.patterns[text]
}

func TestSchema(t *testing.T) {
	s := patchSchema(t)
	rules := s.node.(map[string]any)
	required, properties := rules["required"].([]any), rules["properties"].(map[string]any)
	if rules["additionalProperties"] != false || len(properties) != 10 || len(required) != 2 { // label and score, which every record has
		t.Errorf("%d of %d properties are required, others are %v",
			len(required), len(properties), rules["additionalProperties"])
	}
	const good = `{"label":"camera","score":0.97,"margin":0.95,"stage":"first","packets":1,"latency_us":812,"model":"iot-device","version":"1.0.0","reason":"accepted"}`
	for _, record := range []string{good, good[:len(good)-1] + `,"agrees":false}`, `{"label":"camera","score":0.97}`} {
		if err := s.validate([]byte(record)); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{
		`{"label":"camera"}`,
		good[:len(good)-1] + `,"more":1}`,
		good[:len(good)-1] + `,"agrees":"yes"}`,
		strings.Replace(good, `"camera"`, "1", 1),
		strings.Replace(good, "0.97", "1.5", 1),
		strings.Replace(good, `"packets":1`, `"packets":1.5`, 1),
	} {
		if s.validate([]byte(bad)) == nil {
			t.Errorf("accepted: %s", bad)
		}
	}
}

// TestSchemaWords: each word of a schema refuses something.
func TestSchemaWords(t *testing.T) {
	for _, c := range []struct{ schema, good, bad string }{
		{`{"type":["string","null"]}`, `null`, `1`},
		{`{"properties":{"a":{"type":"integer"}}}`, `{"a":1,"b":""}`, `{"a":1.5}`},
		{`{"properties":{"a":{}},"additionalProperties":{"type":"boolean"}}`, `{"a":1,"b":true}`, `{"b":1}`},
		{`{"properties":{"a":{}},"additionalProperties":false}`, `{"a":1}`, `{"b":1}`},
		{`{"required":["a"]}`, `{"a":1}`, `{}`},
		{`{"items":{"type":"string"},"minItems":1}`, `["a"]`, `["a",1]`},
		{`{"minItems":1}`, `[1]`, `[]`},
		{`{"minProperties":1}`, `{"a":1}`, `{}`},
		{`{"oneOf":[{"type":"integer"},{"minimum":5}]}`, `4`, `6`},
		{`{"enum":["a","b"]}`, `"b"`, `"c"`},
		{`{"const":4}`, `4`, `5`},
		{`{"pattern":"^[a-z]+$"}`, `"a"`, `"1"`},
		{`{"minLength":2}`, `"aä"`, `"ä"`},
		{`{"maximum":2}`, `2`, `3`},
		{`{"$ref":"#/$defs/a","$defs":{"a":{"type":"string"}}}`, `"a"`, `1`},
		{`{"title":"a"}`, `1`, ``},
		{`{"if":{}}`, ``, `1`},
	} {
		var root any
		if err := json.Unmarshal([]byte(c.schema), &root); err != nil {
			t.Fatal(err)
		}
		s := schema{root, root, map[string]*regexp.Regexp{}}
		if err := s.validate([]byte(c.good)); err != nil && c.good != "" {
			t.Errorf("%s: %s: %v", c.schema, c.good, err)
		}
		if c.bad != "" && s.validate([]byte(c.bad)) == nil {
			t.Errorf("%s accepts %s", c.schema, c.bad)
		}
	}
}

// holding counts what comes of holding records against the schemas.
type holding struct {
	ours         schema
	own, patched schema
	all          bool // own and patched are there
	held         int
	suricatas    map[string]int // records that do not fit even without us
}

func newHolding(t *testing.T) *holding {
	t.Helper()
	h := &holding{ours: patchSchema(t), suricatas: map[string]int{}}
	h.own, h.patched, h.all = eveSchemas(t)
	return h
}

// hold says what is wrong with a record that has a label; plain is the same
// without.
func (h *holding) hold(record, plain []byte) error {
	if !h.all {
		return nil
	}
	if err := h.own.validate(plain); err != nil {
		h.suricatas[err.Error()]++
		return nil
	}
	h.held++
	return h.patched.validate(record)
}

func (h *holding) String() string {
	if !h.all {
		return "none held against Suricata's schema"
	}
	text := fmt.Sprintf("%d held against Suricata's schema and ours", h.held)
	for _, why := range slices.Sorted(maps.Keys(h.suricatas)) {
		text += fmt.Sprintf("; %d do not fit Suricata's own: %s", h.suricatas[why], why)
	}
	return text
}
