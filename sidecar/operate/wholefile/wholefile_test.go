package wholefile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

func put(text string) func(*os.File) error {
	return func(f *os.File) error {
		_, err := io.WriteString(f, text)
		return err
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "report.html")
	link := filepath.Join(dir, "latest")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ to, text string }{{path, "first"}, {path, "second"}, {link, "third"}} {
		if err := Write(step.to, put(step.text)); err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(path); err != nil || string(text) != step.text {
			t.Errorf("%s: %q, %v; want %q", step.to, text, err, step.text)
		}
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", info, err)
	}
}

func TestWriteFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "bundle.tar")
	if err := Write(path, put("whole")); err != nil {
		t.Fatal(err)
	}
	full := errors.New("the disk is full")
	err := Write(path, func(f *os.File) error {
		f.WriteString("a part")
		return full
	})
	if err != full {
		t.Errorf("%v, want %v", err, full)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "whole" {
		t.Errorf("%q, %v: what was there is gone", text, err)
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 1 {
		t.Errorf("%v, %v: a part is left", list, err)
	}
	if err := Write(filepath.Join(dir, "none", "file"), put("")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a directory that does not exist: %v", err)
	}
}

// Several at once leave one of theirs, whole.
func TestWriteAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "answers")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := Write(path, put("the same")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if text, err := os.ReadFile(path); err != nil || string(text) != "the same" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestWriteToOthers(t *testing.T) {
	if err := Write("/dev/full", put("text")); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%v, want %v", err, syscall.ENOSPC)
	}
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	read := make(chan string)
	go func() {
		text, _ := os.ReadFile(fifo)
		read <- string(text)
	}()
	if err := Write(fifo, put("through")); err != nil {
		t.Fatal(err)
	}
	if text := <-read; text != "through" {
		t.Errorf("the reader got %q", text)
	}
}
