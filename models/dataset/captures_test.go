package dataset

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func manifest(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "manifest.csv")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRead(t *testing.T) {
	path := manifest(t, "\ufeffclass,file,notes,split\nlamp,pcap/one.pcap,\"a, b\",train\nplug,two.pcap,,test\nlamp,three.pcap,,calibration\n")
	dir := filepath.Dir(path)
	line := func(file, notes, class, split string) Capture {
		return Capture{
			File: file, Path: filepath.Join(dir, file), Label: class, Split: split,
			Fields: map[string]string{"file": file, "notes": notes, "class": class, "split": split},
		}
	}
	all := []Capture{
		line("pcap/one.pcap", "a, b", "lamp", "train"), line("two.pcap", "", "plug", "test"), line("three.pcap", "", "lamp", "calibration"),
	}
	for _, c := range []struct {
		splits []string
		want   []Capture
	}{
		{nil, all},
		{[]string{"test"}, all[1:2]},
		{[]string{"calibration", "train"}, []Capture{all[0], all[2]}},
	} {
		got, err := Read(path, "class", c.splits)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("splits %v: %v, %v, want %v", c.splits, got, err, c.want)
		}
	}
}

func TestReadSources(t *testing.T) {
	got, err := Read(manifest(t, "file,source,split\na,one,train\nb,,train\n"), "", nil)
	if err != nil || got[0].Source != "one" || got[1].Source != "" {
		t.Errorf("%v, %v", got, err)
	}
}

// A path is absolute or leads from the manifest's folder, also out of it.
func TestReadPaths(t *testing.T) {
	path := manifest(t, "split,file\ntrain,/data/a.pcap\ntest,../b.pcap\n")
	got, err := Read(path, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"/data/a.pcap", filepath.Join(filepath.Dir(filepath.Dir(path)), "b.pcap")}
	for i, c := range got {
		if c.Path != want[i] {
			t.Errorf("%s leads to %s, want %s", c.File, c.Path, want[i])
		}
	}
}

// Captures whose flows have labels of their own need none in the manifest.
func TestReadWithoutLabels(t *testing.T) {
	got, err := Read(manifest(t, "split,file\ntrain,a\n"), "", nil)
	if err != nil || len(got) != 1 || got[0].File != "a" || got[0].Label != "" {
		t.Errorf("%v, %v", got, err)
	}
}

// What cannot be read is refused with the manifest's path and the mistake.
func TestReadRefuses(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"an empty file", "", "the file is empty"},
		{"no such column", "file,split,device\na,test,x\n", `no column "class": there are file, split, device`},
		{"no column of files", "path,split,class\na,test,x\n", `no column "file"`},
		{"nothing", "file,split,class\n", "no capture of split test"},
		{"nothing of the split", "file,split,class\na,train,x\n", "no capture of split test"},
		{"no label", "file,split,class\na,test,\n", "line 2: file, split, class must not be empty"},
		{"a capture twice", "file,split,class\na,test,x\nb,test,x\na,test,y\n", "line 4: a stands there twice"},
		{"a line that is too short", "file,split,class\na,test\n", "line 2"},
	} {
		path := manifest(t, c.text)
		_, err := Read(path, "class", []string{"test"})
		var wrong *Error
		if !errors.As(err, &wrong) || wrong.Path != path || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := Read("/nonexistent", "class", nil); !os.IsNotExist(err) {
		t.Errorf("no file: %v", err)
	}
}
