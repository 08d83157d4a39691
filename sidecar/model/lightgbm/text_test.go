package lightgbm

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// models are LightGBM's own texts, with golden rows that LightGBM computed;
// models/train/make_testdata.py wrote them.
var models = []struct {
	name    string
	classes int
}{
	{"multiclass", 3}, {"dart", 3}, {"constant", 3}, {"zero", 3}, {"binary", 2}, {"onecolumn", 2},
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestRefused forges one field after the other of a good model and asks for an
// error that names the place.
func TestRefused(t *testing.T) {
	good := string(read(t, "multiclass.txt"))
	// set replaces the value of a field where it stands first (tree 0 for
	// fields of trees).
	set := func(name, value string) string {
		re := regexp.MustCompile(`(?m)^` + name + `=.*$`)
		at := re.FindStringIndex(good)
		if at == nil {
			t.Fatalf("no field %s", name)
		}
		return good[:at[0]] + name + "=" + value + good[at[1]:]
	}
	drop := func(name string) string {
		re := regexp.MustCompile(`(?m)^` + name + `=.*\n`)
		at := re.FindStringIndex(good)
		return good[:at[0]] + good[at[1]:]
	}
	add := func(line string) string { return strings.Replace(good, "version=v4\n", "version=v4\n"+line+"\n", 1) }

	tests := []struct {
		name, text string
		tree       int
		field      string
		why        string
	}{
		{"empty", "", -1, "", "first line"},
		{"other file", "PAR1", -1, "", "first line"},
		{"header alone", good[:strings.Index(good, "Tree=0")], -1, "", "cut"},
		{"cut in a tree", good[:strings.Index(good, "leaf_weight")], 0, "", "cut"},
		{"cut after a tree", good[:strings.Index(good, "Tree=2")], 1, "", "cut"},
		{"v2", set("version", "v2"), -1, "version", "v3 and v4"},
		{"no version", drop("version"), -1, "version", "v3 and v4"},
		{"random forest", add("average_output"), -1, "average_output", "random forests"},
		{"twice", add("num_class=3"), -1, "num_class", "twice"},
		{"regression", set("objective", "regression"), -1, "objective", "not served"},
		{"one against all", set("objective", "multiclassova num_class:3 sigmoid:1"), -1, "objective", "not served"},
		{"no objective", drop("objective"), -1, "objective", "missing"},
		{"objective of other classes", set("objective", "multiclass num_class:4"), -1, "objective", "num_class 3"},
		{"binary of three", set("objective", "binary sigmoid:1"), -1, "objective", "num_class 3"},
		{"per iteration", set("num_tree_per_iteration", "1"), -1, "num_tree_per_iteration", "num_class is 3"},
		{"no classes", set("num_class", "0"), -1, "num_class", "integer from 1"},
		{"classes overflow", set("num_class", "99999999999999999999"), -1, "num_class", "integer from 1"},
		{"features", set("max_feature_idx", "6"), -1, "feature_names", "6 names"},
		{"too many features", set("max_feature_idx", "1000000000"), -1, "max_feature_idx", "integer from 0"},
		{"name twice", set("feature_names", "c0 c1 c2 c3 c4 c0"), -1, "feature_names", "twice"},
		{"name empty", set("feature_names", "c0 c1 c2  c3 c4"), -1, "feature_names", "printable"},
		{"name with =", set("feature_names", "c0 c1 c2 c=3 c4 c5"), -1, "feature_names", "printable"},
		{"name not ASCII", set("feature_names", "c0 c1 c2 ç c4 c5"), -1, "feature_names", "printable"},
		{"name long", set("feature_names", "c0 c1 c2 "+strings.Repeat("c", 200)+" c4 c5"), -1, "feature_names", "printable"},
		{"no tree_sizes", drop("tree_sizes"), -1, "tree_sizes", "must name"},
		{"tree_sizes short", set("tree_sizes", "1 1 1"), 3, "", "more trees"},
		{"tree_sizes long", set("tree_sizes", strings.Repeat("1 ", 14)+"1"), -1, "tree_sizes", "announces 15"},
		{"tree_sizes odd", set("tree_sizes", "1 1 1 1"), -1, "tree_sizes", "no multiple"},
		{"tree_sizes huge", set("tree_sizes", strings.Repeat("1 ", MaxTrees)+"1"), -1, "tree_sizes", "must name"},
		{"trees out of order", strings.Replace(good, "Tree=1\n", "Tree=2\n", 1), 1, "", `"Tree=2"`},
		{"many fields", add(manyFields()), -1, "x", "more than 64"},

		{"linear", set("is_linear", "1"), 0, "is_linear", "linear trees"},
		{"categorical tree", set("num_cat", "1"), 0, "num_cat", "categorical"},
		{"no num_cat", drop("num_cat"), 0, "num_cat", "categorical"},
		{"categorical node", set("decision_type", "2 2 3 2 2"), 0, "decision_type", "node 2: categorical"},
		{"missing kind", set("decision_type", "2 2 2 2 14"), 0, "decision_type", "node 4: 14"},
		{"decision range", set("decision_type", "2 2 2 2 16"), 0, "decision_type", "value 4"},
		{"no leaves", set("num_leaves", "0"), 0, "num_leaves", "integer from 1"},
		{"leaves more", set("num_leaves", "7"), 0, "leaf_value", "6 values"},
		{"leaves huge", set("num_leaves", "2147483647"), 0, "num_leaves", "integer from 1"},
		{"leaf NaN", set("leaf_value", "1 2 NaN 4 5 6"), 0, "leaf_value", "value 2"},
		{"leaf infinite", set("leaf_value", "1 2 3 4 5 -Inf"), 0, "leaf_value", "value 5"},
		{"leaf huge", set("leaf_value", "1 2 3 4 5 1e300"), 0, "leaf_value", "value 5"},
		{"leaf text", set("leaf_value", "1 2 3 4 5 x"), 0, "leaf_value", "value 5"},
		{"leaf missing", drop("leaf_value"), 0, "leaf_value", "missing"},
		{"leaf empty", set("leaf_value", ""), 0, "leaf_value", "0 values"},
		{"threshold infinite", set("threshold", "1 2 3 inf 5"), 0, "threshold", "value 3"},
		{"threshold NaN", set("threshold", "1 2 3 nan 5"), 0, "threshold", "value 3"},
		{"threshold short", set("threshold", "1 2 3 4"), 0, "threshold", "4 values"},
		{"feature range", set("split_feature", "0 3 1 6 1"), 0, "split_feature", "value 3"},
		{"feature negative", set("split_feature", "0 3 -1 0 1"), 0, "split_feature", "value 2"},
		{"feature long", set("split_feature", "0 3 1 3 1 1"), 0, "split_feature", "6 values"},
		{"child range", set("left_child", "1 -1 -3 5 -4"), 0, "left_child", "value 3"},
		{"leaf range", set("right_child", "-2 2 3 -5 -7"), 0, "right_child", "value 4"},
		{"child is the root", set("left_child", "0 -1 -3 4 -4"), 0, "left_child", "second time"},
		{"cycle", set("right_child", "-2 2 1 -5 -6"), 0, "right_child", "second time"},
		{"leaf twice", set("left_child", "1 -1 -1 4 -4"), 0, "left_child", "second time"},
		{"island", islandText(set), 0, "left_child", "cannot be reached"},
		{"no children", drop("right_child"), 0, "right_child", "missing"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Parse([]byte(test.text), 3)
			var format *FormatError
			if !errors.As(err, &format) {
				t.Fatalf("error %v, want a *FormatError", err)
			}
			if format.Tree != test.tree || !strings.HasPrefix(format.Field, test.field) || !strings.Contains(err.Error(), test.why) {
				t.Errorf("%q, want tree %d, field %q, and %q", err, test.tree, test.field, test.why)
			}
		})
	}
}

// islandText makes nodes 3 and 4 of tree 0 point at each other, away from the
// root.
func islandText(set func(name, value string) string) string {
	text := set("left_child", "-1 -2 -3 4 3")
	return strings.Replace(text, "right_child=-2 2 3 -5 -6", "right_child=1 2 -4 -5 -6", 1)
}

func manyFields() string {
	var b strings.Builder
	for i := range maxFields {
		fmt.Fprintf(&b, "x%d=1\n", i)
	}
	return b.String()
}

func TestTooManyBytes(t *testing.T) {
	if _, err := Parse(make([]byte, MaxBytes+1), 2); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("error %v", err)
	}
}

func TestSigmoid(t *testing.T) {
	text := strings.Replace(string(read(t, "binary.txt")), "sigmoid:1", "sigmoid:2", 1)
	if _, err := Parse([]byte(text), 2); err == nil || !strings.Contains(err.Error(), "sigmoid") {
		t.Errorf("error %v", err)
	}
}

// TestTextReadsBack writes each model as others get it and parses that
// again: nothing that bears on predictions may have changed.
func TestTextReadsBack(t *testing.T) {
	for _, test := range models {
		want, err := parse(read(t, test.name+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := parse([]byte(header(want) + endOfTrees + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: read back as\n%v\nwant\n%v", test.name, got, want)
		}
	}
}

func TestClassesExpected(t *testing.T) {
	text := read(t, "multiclass.txt")
	for _, classes := range []int{0, 1, 2, 4, MaxClasses + 1} {
		if _, err := Parse(text, classes); err == nil {
			t.Errorf("%d classes: no error", classes)
		}
	}
	_, err := Parse(text, 4)
	var format *FormatError
	if !errors.As(err, &format) || format.Tree != -1 || format.Field != "num_class" {
		t.Errorf("error %v", err)
	}
}

func TestGoesLeft(t *testing.T) {
	nan := math.NaN()
	const nothing, zero, notANumber, left = 0, zeroIsMissing << missingShift, nanIsMissing << missingShift, defaultLeft
	for _, test := range []struct {
		decision  uint8
		threshold float64
		value     float64
		want      bool
	}{
		{nothing, 1, 1, true}, {nothing, 1, 1.5, false},
		{nothing, 1, nan, true}, {nothing | left, -1, nan, false}, // NaN counts as 0
		{zero, 1, 0, false}, {zero | left, -1, 0, true}, {zero | left, -1, nan, true}, {zero | left, -1, 1e-36, true},
		{zero, 1, -1, true}, {zero | left, -1, 1, false},
		{notANumber, 1, nan, false}, {notANumber | left, -1, nan, true}, {notANumber, 1, 0, true}, {notANumber | left, -1, 0, false},
	} {
		tree := Tree{Threshold: []float64{test.threshold}, Decision: []uint8{test.decision}}
		if got := tree.GoesLeft(0, test.value); got != test.want {
			t.Errorf("%+v: goes left: %v", test, got)
		}
	}
}
