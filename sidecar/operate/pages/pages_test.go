package pages

import (
	"os"
	"path/filepath"
	"testing"
)

func TestIn(t *testing.T) {
	const page = "docs/install.md#the-tap"
	dir := t.TempDir()
	if got := in(dir, page); got != page {
		t.Errorf("no package: %s", got)
	}
	if err := os.Mkdir(filepath.Join(dir, "docs"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "docs/install.md"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := in(dir, page); got != dir+"/"+page {
		t.Errorf("installed: %s", got)
	}
}
