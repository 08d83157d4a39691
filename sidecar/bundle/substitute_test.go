package bundle

import (
	"io/fs"
	"path"
	"strings"
	"testing"

	"serveflow/models"
)

// withSubstitute writes the toy bundle with another in it, for taps that may send no
// payload, and returns its directory.
func withSubstitute(t *testing.T, substitute fs.FS) string {
	t.Helper()
	b, err := Load(copyToy(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	files := map[string][]byte{}
	for name := range b.Manifest.Files {
		files[name] = toyFile(t, name)
	}
	err = fs.WalkDir(substitute, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(substitute, name)
		files[path.Join(WithoutPayload, name)] = data
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := Write(dir, b.Manifest, files); err != nil {
		t.Fatal(err)
	}
	return dir + "/"
}

func TestSubstitute(t *testing.T) {
	toy := copyToy(t)
	text := string(toy[ManifestFile].Data)
	toy[ManifestFile].Data = []byte(strings.Replace(text, `name = "toy"`, `name = "toy-sizes"`, 1))
	dir := withSubstitute(t, toy)
	for noPayload, want := range map[bool]string{false: "toy", true: "toy-sizes"} {
		b, err := Open(dir, Options{NoPayload: noPayload})
		if err != nil {
			t.Fatal(err)
		}
		if b.Manifest.Name != want || b.Manifest.HasSubstitute() == noPayload {
			t.Errorf("payload not permitted is %v: %s", noPayload, b.Name())
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestSubstituteIsRefused(t *testing.T) {
	looking, err := models.Open("iot-device")
	if err != nil {
		t.Fatal(err)
	}
	dir := withSubstitute(t, looking)
	if _, err := Open(dir, Options{NoPayload: true}); err == nil || !strings.Contains(err.Error(), "without-payload: this bundle looks at bytes of payload, too") {
		t.Errorf("a substitute that looks at payload: %v", err)
	}
}
