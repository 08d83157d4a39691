package dataset

import (
	"strings"
	"testing"
)

// FuzzRead reads manifests that may come from anywhere: what is taken is whole,
// of the splits asked for, and no capture comes twice.
func FuzzRead(f *testing.F) {
	f.Add("file,label,split\na.pcap,x,test\n\"b\n.pcap\",y,train\n")
	f.Add("\ufefffile,split,label,file\na,test,x,b\n")
	f.Add("file,label,split\n../../a,x,test\n/etc/a,\"\",test\n")
	f.Add("file;label;split\n\"a")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := read(strings.NewReader(text), "/data", "label", []string{"test"})
		if (err == nil) != (len(all) > 0) {
			t.Fatalf("%d captures, %v", len(all), err)
		}
		seen := map[string]bool{}
		for _, c := range all {
			if c.File == "" || c.Label == "" || c.Split != "test" || !strings.HasPrefix(c.Path, "/") || seen[c.File] {
				t.Errorf("%+v", c)
			}
			seen[c.File] = true
		}
	})
}
