package config

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzParse wants no panic, and nothing accepted that Validate refuses.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.bad.toml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(files, exampleFile) {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(data, "fuzz")
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without a message")
			}
			return
		}
		if err := c.Validate(); err != nil {
			t.Errorf("accepted, but %v", err)
		}
	})
}
