//go:build cgo

package onnx

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	ort "github.com/yalue/onnxruntime_go"
)

// unload makes the next Load look for a library again.
func unload(t *testing.T) {
	t.Helper()
	environment.Lock()
	defer environment.Unlock()
	environment.library = ""
	if ort.IsInitialized() {
		if err := ort.DestroyEnvironment(); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv(libraryEnv, "")
	t.Chdir(t.TempDir()) // no build/onnxruntime here
}

// wantLibraryError loads a good model and wants an error that says what is
// wrong with the library and what to do.
func wantLibraryError(t *testing.T, data []byte, option string, parts ...string) {
	t.Helper()
	_, err := Load(data, Options{Classes: 3, Library: option})
	if !errors.Is(err, ErrLibrary) {
		t.Fatalf("error %v, want one that wraps ErrLibrary", err)
	}
	for _, part := range append(parts, "make deps", "onnx.library", libraryEnv) {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
}

func TestLibraryMissing(t *testing.T) {
	data := read(t, "mlp.onnx")
	unload(t)
	for _, place := range []string{"/usr/lib/serveflow", "/usr/local/lib"} {
		if _, err := os.Stat(filepath.Join(place, libraryName)); err == nil {
			t.Skipf("ONNX Runtime is installed in %s", place)
		}
	}
	wantLibraryError(t, data, "", "is in none of", "/usr/lib/serveflow")
	wantLibraryError(t, data, "nowhere.so", "nowhere.so")
	t.Setenv(libraryEnv, "elsewhere.so")
	wantLibraryError(t, data, "", "elsewhere.so")
}

func TestLibraryOfAnotherKind(t *testing.T) {
	data := read(t, "mlp.onnx")
	unload(t)
	if err := os.WriteFile("text.so", []byte("no library"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantLibraryError(t, data, "./text.so", "./text.so")
	buildLibrary(t, "stranger", "int stranger(void) { return 1; }")
	wantLibraryError(t, data, "./stranger.so", "./stranger.so", "OrtGetApiBase")
}

func TestLibraryTooOld(t *testing.T) {
	data := read(t, "mlp.onnx")
	unload(t)
	// A runtime that does not have the version of the interface asked for.
	buildLibrary(t, "old", `
		static const void *api(unsigned version) { return 0; }
		static const char *version(void) { return "1.21.0"; }
		static const struct { const void *(*api)(unsigned); const char *(*version)(void); } base = { api, version };
		const void *OrtGetApiBase(void) { return &base; }`)
	wantLibraryError(t, data, "./old.so", "./old.so", "too old", "1.24")
}

// buildLibrary compiles a shared library in the working directory.
func buildLibrary(t *testing.T, name, source string) {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler to make a library with")
	}
	if err := os.WriteFile(name+".c", []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(cc, "-shared", "-fPIC", "-o", name+".so", name+".c").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestLibraryFoundInTheWorkingDirectory(t *testing.T) {
	lib, data := library(t), read(t, "mlp.onnx")
	unload(t)
	if err := os.MkdirAll("build/onnxruntime", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(lib, "build/onnxruntime/"+libraryName); err != nil {
		t.Fatal(err)
	}
	m, err := Load(data, Options{Classes: 3})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	// Only one library can be loaded: another is not silently ignored.
	if _, err := Load(data, Options{Classes: 3, Library: "other.so"}); !errors.Is(err, ErrLibrary) || !strings.Contains(err.Error(), "restart") {
		t.Errorf("error %v", err)
	}
	unload(t)
}

func TestLibraryAfterAFailure(t *testing.T) {
	lib, data := library(t), read(t, "mlp.onnx")
	unload(t)
	wantLibraryError(t, data, "nowhere.so", "nowhere.so")
	t.Setenv(libraryEnv, lib)
	m, err := Load(data, Options{Classes: 3})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}

func TestSupported(t *testing.T) {
	for version, want := range map[string]bool{
		"1.30.0": true, "1.24.3": true, "1.24": true, "1.23.2": false, "1.9.0": false, "2.0.0": false, "": false, "1": false, "x.y": false,
	} {
		if got := supported(version); got != want {
			t.Errorf("supported(%q) = %v", version, got)
		}
	}
}
