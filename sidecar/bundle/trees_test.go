package bundle

import (
	"os"
	"strings"
	"testing"

	"serveflow/sidecar/model"
	"serveflow/sidecar/model/leaves"
	"serveflow/sidecar/model/lightgbm"
	"serveflow/sidecar/model/modeltest"
)

// TestWrongWhenCompiled has a compiled form that is sure of nothing.
func TestWrongWhenCompiled(t *testing.T) {
	text, golden := toyFile(t, "fast.txt"), toyFile(t, "fast.txt.golden.json")
	e, err := lightgbm.Parse(text, 3)
	if err != nil {
		t.Fatal(err)
	}
	wrong := modeltest.Sure(1./3, 3, e.Columns...)
	var said []string
	warn := func(text string) { said = append(said, text) }
	m, err := serving(e, wrong, golden, warn)
	if err != nil || m == model.Model(wrong) || len(said) != 1 || !strings.Contains(said[0], "golden rows: row 0") {
		t.Errorf("%v, warned of %q", err, said)
	}
	if err := checkGolden(m, golden); err != nil {
		t.Error(err)
	}

	// Where the reference gives other answers too, the file is at fault.
	other := []byte(strings.Replace(string(golden), "0.9", "0.8", 1))
	if _, err := serving(e, wrong, other, warn); err == nil || len(said) != 1 {
		t.Errorf("golden rows of another model: %v, warned of %q", err, said)
	}
	if reference, _ := leaves.New(e); checkGolden(reference, other) == nil {
		t.Error("the golden rows were not changed")
	}
}

func toyFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(toy + "/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
