package lightgbm

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// Bounds on a model. They are far above what a cascade can afford to evaluate
// and keep a forged file from costing more memory than its own size explains.
const (
	MaxBytes    = 64 << 20 // of text
	MaxClasses  = 1024
	MaxFeatures = 1 << 16
	MaxTrees    = 1 << 15
	MaxLeaves   = 1 << 16 // of one tree
	maxName     = 128     // bytes of a feature name
	maxFields   = 64      // of the header or of a tree; LightGBM writes about 20

	// maxLeafValue keeps sums over MaxTrees trees finite; LightGBM's own
	// values lie below 40 or so.
	maxLeafValue = 1e9
)

// FormatError reports where a LightGBM text is invalid or not supported.
type FormatError struct {
	Tree  int    // number of the tree, counted from 0; -1: the header
	Field string // name of the field, empty where none is meant
	Why   string
}

func (e *FormatError) Error() string {
	where := "header"
	if e.Tree >= 0 {
		where = "tree " + strconv.Itoa(e.Tree)
	}
	if e.Field != "" {
		where += ": " + e.Field
	}
	return "lightgbm: " + where + ": " + e.Why
}

func headerError(field, format string, args ...any) error {
	return treeError(-1, field, format, args...)
}

func treeError(tree int, field, format string, args ...any) error {
	return &FormatError{Tree: tree, Field: field, Why: fmt.Sprintf(format, args...)}
}

// Ensemble is a parsed and checked model. It is shared by its evaluators and must
// not be changed.
type Ensemble struct {
	Classes int      // at least 2
	Groups  int      // trees of one iteration: Classes, or 1 for a binary model
	Columns []string // names of the features, in the order of a row
	Trees   []Tree   // of group i%Groups each
}

// Tree holds its nodes as LightGBM numbers them: node 0 is the root, a child
// below zero is the leaf with the number ^child. A tree of one leaf has no
// nodes.
type Tree struct {
	Feature     []int32
	Threshold   []float64 // a value goes left that is not above it
	Decision    []uint8   // what becomes of missing values, see GoesLeft
	Left, Right []int32
	Leaf        []float64
}

// fields are the lines `name=value` of a section. A name that occurs twice is an
// error, because it would be ambiguous.
type fields map[string]string

// Parse reads a model of so many classes (2 to MaxClasses) up to its line "end of
// trees"; what follows (importances, training parameters) does not affect
// predictions. The error is a *FormatError if the text is invalid.
func Parse(data []byte, classes int) (*Ensemble, error) {
	if classes < 2 || classes > MaxClasses {
		return nil, fmt.Errorf("lightgbm: %d classes expected, must be 2 to %d", classes, MaxClasses)
	}
	e, err := parse(data)
	if err == nil && e.Classes != classes {
		return nil, headerError("num_class", "the model has %d classes, %d are expected", e.Classes, classes)
	}
	return e, err
}

func parse(data []byte) (*Ensemble, error) {
	if len(data) > MaxBytes {
		return nil, headerError("", "%d bytes, at most %d are read", len(data), MaxBytes)
	}
	line, rest := cutLine(data)
	if line != "tree" {
		return nil, headerError("", "not the text of a LightGBM model: the first line is not \"tree\"")
	}
	f := make(fields, maxFields)
	next, rest, err := f.section(rest, -1)
	if err != nil {
		return nil, err
	}
	e, trees, err := parseHeader(f)
	if err != nil {
		return nil, err
	}
	e.Trees = make([]Tree, 0, trees)
	for next != endOfTrees {
		i := len(e.Trees)
		if next != "Tree="+strconv.Itoa(i) {
			return nil, treeError(i, "", "its section begins with %q", clip(next))
		}
		if i == trees {
			return nil, treeError(i, "", "more trees than tree_sizes announces (%d)", trees)
		}
		if next, rest, err = f.section(rest, i); err != nil {
			return nil, err
		}
		t, err := parseTree(f, i, len(e.Columns))
		if err != nil {
			return nil, err
		}
		e.Trees = append(e.Trees, t)
	}
	if len(e.Trees) != trees {
		return nil, headerError("tree_sizes", "announces %d trees, the text has %d", trees, len(e.Trees))
	}
	return e, nil
}

const endOfTrees = "end of trees"

// section reads lines `name=value`, which take the place of those in f, up to the
// next section and returns that section's first line and what follows it.
func (f fields) section(data []byte, tree int) (next string, rest []byte, err error) {
	clear(f)
	for len(data) > 0 {
		var line string
		line, data = cutLine(data)
		if line == "" {
			continue
		}
		if line == endOfTrees || strings.HasPrefix(line, "Tree=") {
			return line, data, nil
		}
		// A line without "=" is a flag, as average_output is.
		name, value, _ := strings.Cut(line, "=")
		if _, twice := f[name]; twice {
			return "", nil, treeError(tree, clip(name), "stands there twice")
		}
		if len(f) == maxFields {
			return "", nil, treeError(tree, clip(name), "more than %d fields", maxFields)
		}
		f[name] = value
	}
	return "", nil, treeError(tree, "", "the text is cut: no line %q", endOfTrees)
}

func cutLine(data []byte) (string, []byte) {
	line, rest, _ := bytes.Cut(data, []byte{'\n'})
	return string(line), rest
}

// parseHeader checks the header and returns the ensemble without its trees,
// and how many it must have.
func parseHeader(f fields) (*Ensemble, int, error) {
	switch v := f["version"]; v {
	case "v3", "v4":
	default:
		return nil, 0, headerError("version", "%q, only v3 and v4 are read", clip(v))
	}
	if _, found := f["average_output"]; found {
		return nil, 0, headerError("average_output", "random forests are not served, train with boosting=gbdt")
	}
	e := &Ensemble{}
	var err error
	if e.Groups, err = f.integer(-1, "num_tree_per_iteration", 1, MaxClasses); err != nil {
		return nil, 0, err
	}
	numClass, err := f.integer(-1, "num_class", 1, MaxClasses)
	if err != nil {
		return nil, 0, err
	}
	if numClass != e.Groups {
		return nil, 0, headerError("num_tree_per_iteration", "%d, but num_class is %d", e.Groups, numClass)
	}
	if e.Classes, err = checkObjective(f["objective"], numClass); err != nil {
		return nil, 0, err
	}
	last, err := f.integer(-1, "max_feature_idx", 0, MaxFeatures-1)
	if err != nil {
		return nil, 0, err
	}
	if e.Columns, err = featureNames(f, last+1); err != nil {
		return nil, 0, err
	}
	trees := 1 + strings.Count(f["tree_sizes"], " ")
	if f["tree_sizes"] == "" || trees > MaxTrees {
		return nil, 0, headerError("tree_sizes", "must name 1 to %d trees", MaxTrees)
	}
	if trees%e.Groups != 0 {
		return nil, 0, headerError("tree_sizes", "%d trees are no multiple of num_tree_per_iteration (%d)", trees, e.Groups)
	}
	return e, trees, nil
}

// checkObjective returns the number of classes. Objectives whose raw scores do not
// become probabilities by softmax or the plain logistic function are refused,
// because later code would misread them.
func checkObjective(objective string, numClass int) (classes int, err error) {
	words := strings.Fields(objective)
	if len(words) == 0 {
		return 0, headerError("objective", "missing")
	}
	params := words[1:]
	switch words[0] {
	case "multiclass":
		if numClass < 2 || len(params) != 1 || params[0] != "num_class:"+strconv.Itoa(numClass) {
			return 0, headerError("objective", "%q does not fit num_class %d", clip(objective), numClass)
		}
		return numClass, nil
	case "binary":
		if numClass != 1 || len(params) != 1 || params[0] != "sigmoid:1" {
			return 0, headerError("objective", "%q with num_class %d, only \"binary sigmoid:1\" with 1 is served", clip(objective), numClass)
		}
		return 2, nil
	default:
		return 0, headerError("objective", "%q is not served, only multiclass and binary are", clip(words[0]))
	}
}

func featureNames(f fields, want int) ([]string, error) {
	const field = "feature_names"
	value := f[field]
	if have := 1 + strings.Count(value, " "); have != want {
		return nil, headerError(field, "%d names, max_feature_idx says %d", have, want)
	}
	names := strings.Split(value, " ")
	seen := make(map[string]bool, len(names))
	for i, name := range names {
		if name == "" || len(name) > maxName || strings.ContainsFunc(name, notNameByte) {
			return nil, headerError(field, "name %d (%q) is not 1 to %d printable ASCII characters without \"=\"", i, clip(name), maxName)
		}
		if seen[name] {
			return nil, headerError(field, "%q is listed twice", name)
		}
		seen[name] = true
	}
	return names, nil
}

func notNameByte(r rune) bool { return r <= ' ' || r > '~' || r == '=' }

// integer reads a field that holds one integer of [low, high].
func (f fields) integer(tree int, name string, low, high int) (int, error) {
	value, found := f[name]
	if !found {
		return 0, treeError(tree, name, "missing")
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < low || n > high {
		return 0, treeError(tree, name, "%q is not an integer from %d to %d", clip(value), low, high)
	}
	return n, nil
}

// clip shortens text out of a file for an error message.
func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}
