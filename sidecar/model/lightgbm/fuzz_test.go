package lightgbm

import (
	"fmt"
	"strings"
	"testing"
)

// FuzzParse looks for a text that Parse panics at, or that comes to something
// else when it is written and read again.
func FuzzParse(f *testing.F) {
	for _, test := range models {
		f.Add(read(f, test.name+".txt"), uint16(test.classes))
	}
	f.Add([]byte("tree\nversion=v3\nnum_class=1\nnum_tree_per_iteration=1\nmax_feature_idx=0\nobjective=binary sigmoid:1\n"+
		"feature_names=a\ntree_sizes=1\n\nTree=0\nnum_leaves=2\nnum_cat=0\nsplit_feature=0\nthreshold=0\ndecision_type=8\n"+
		"left_child=-1\nright_child=-2\nleaf_value=-1 1\n\nend of trees\n"), uint16(2))
	f.Fuzz(func(t *testing.T, data []byte, classes uint16) {
		e, err := Parse(data, int(classes))
		if err != nil {
			return
		}
		again, err := Parse([]byte(header(e)+endOfTrees+"\n"), int(classes))
		if err != nil {
			t.Fatal("written, it does not parse:", err)
		}
		if fmt.Sprint(again) != fmt.Sprint(e) {
			t.Fatalf("read back as\n%v\nwant\n%v", again, e)
		}
	})
}

// header is e's text with the fields of the header that evaluators do not read.
func header(e *Ensemble) string {
	objective := "binary sigmoid:1"
	if e.Groups > 1 {
		objective = fmt.Sprintf("multiclass num_class:%d", e.Groups)
	}
	return strings.Replace(string(e.Text()), "tree_sizes=",
		"objective="+objective+"\nfeature_names="+strings.Join(e.Columns, " ")+"\ntree_sizes=", 1)
}
