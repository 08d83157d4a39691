package machine

import (
	"runtime"
	"strings"
	"testing"
)

func TestModel(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"processor\t: 0\nmodel\t\t: 17\nmodel name\t: AMD EPYC 9654\nmodel name\t: other\n", "AMD EPYC 9654"},
		{"processor\t: 0\nBogoMIPS\t: 50.00\n", "unknown processor"},
		{"model name\t: \n", "unknown processor"},
		{"", "unknown processor"},
	} {
		if got := model(test.text); got != test.want {
			t.Errorf("%q: %q, want %q", test.text, got, test.want)
		}
	}
}

func TestName(t *testing.T) {
	if name := Name(); !strings.Contains(name, runtime.Version()) || !strings.Contains(name, runtime.GOARCH) {
		t.Error(name)
	}
}
