package suricata

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"
)

// patch is an operation of a JSON patch (RFC 6902) that adds a property to the
// schema of EVE.
type patch struct {
	Op, Path string
	Value    object
}

// object is the part of JSON Schema that the patch uses.
type object struct {
	Type       string
	Properties map[string]struct {
		Type             string
		Minimum, Maximum *float64
	}
	Required             []string
	AdditionalProperties *bool
}

func schema(t *testing.T) object {
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
	s := all[0].Value
	if s.Type != "object" || s.AdditionalProperties == nil || *s.AdditionalProperties || len(s.Required) != len(s.Properties) {
		t.Fatalf("the schema is not what this test reads: %+v", s)
	}
	return s
}

// validate says what is wrong with an object "serveflow".
func (s object) validate(text []byte) error {
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		return err
	}
	for _, name := range s.Required {
		if _, ok := got[name]; !ok {
			return fmt.Errorf("%s is missing", name)
		}
	}
	for name, value := range got {
		p, ok := s.Properties[name]
		if !ok {
			return fmt.Errorf("%s is not in the schema", name)
		}
		number, isNumber := value.(float64)
		_, isString := value.(string)
		switch {
		case p.Type == "string" && !isString,
			p.Type != "string" && !isNumber,
			p.Type == "integer" && number != math.Trunc(number),
			p.Minimum != nil && number < *p.Minimum,
			p.Maximum != nil && number > *p.Maximum:
			return fmt.Errorf("%s is %v", name, value)
		case !slices.Contains([]string{"string", "number", "integer"}, p.Type):
			return fmt.Errorf("%s is of type %s, which is not checked", name, p.Type)
		}
	}
	return nil
}

func TestSchema(t *testing.T) {
	s := schema(t)
	const good = `{"label":"camera","score":0.97,"margin":0.95,"stage":"first","packets":1,"latency_us":812,"model":"iot-device","version":"1.0.0","reason":"accepted"}`
	if err := s.validate([]byte(good)); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{
		`{"label":"camera"}`,
		good[:len(good)-1] + `,"more":1}`,
		`{"label":1` + good[len(`{"label":"camera"`):],
		`{"label":"camera","score":1.5` + good[len(`{"label":"camera","score":0.97`):],
	} {
		if s.validate([]byte(bad)) == nil {
			t.Errorf("accepted: %s", bad)
		}
	}
}
