//go:build cgo

package onnx

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	ort "github.com/yalue/onnxruntime_go"
)

const (
	libraryName = "libonnxruntime.so"
	libraryEnv  = "SERVEFLOW_ONNXRUNTIME"
	// The binding asks the library for version 24 of its interface, which
	// came with ONNX Runtime 1.24.
	minMinor = 24
	hint     = "run `make deps`, or install the library of ONNX Runtime 1.24 or newer as " +
		"/usr/lib/serveflow/" + libraryName + ", or name its file in the setting onnx.library or in $" + libraryEnv
)

// environment is the process-wide state of the runtime.
var environment struct {
	sync.Mutex
	library string // the path it was loaded from; empty: not yet
}

// initialise loads the library, once in the life of the process. After a
// failure it can be called again with another library.
func initialise(option string) error {
	environment.Lock()
	defer environment.Unlock()
	if environment.library != "" {
		if option != "" && option != environment.library {
			return fmt.Errorf("onnx: %w: %s is asked for, but %s is loaded already: restart to change it",
				ErrLibrary, option, environment.library)
		}
		return nil
	}
	path, err := findLibrary(option)
	if err != nil {
		return fmt.Errorf("onnx: %w: %w: %s", ErrLibrary, err, hint)
	}
	ort.SetSharedLibraryPath(path)
	// The runtime writes to standard error by itself; what matters comes
	// back as errors.
	if err := ort.InitializeEnvironment(ort.WithLogLevelFatal()); err != nil {
		return fmt.Errorf("onnx: %w: load %s (too old, or no ONNX Runtime for this machine?): %w: %s", ErrLibrary, path, err, hint)
	}
	if version := ort.GetVersion(); !supported(version) {
		_ = ort.DestroyEnvironment() // the version is what there is to say
		return fmt.Errorf("onnx: %w: %s is version %q: %s", ErrLibrary, path, version, hint)
	}
	if err := ort.DisableTelemetry(); err != nil {
		return fmt.Errorf("onnx: disable telemetry: %w", err)
	}
	environment.library = path
	return nil
}

// findLibrary returns the path of the library to load.
func findLibrary(option string) (string, error) {
	for _, named := range []string{option, os.Getenv(libraryEnv)} {
		if named == "" {
			continue
		}
		if _, err := os.Stat(named); err != nil {
			return "", err
		}
		return named, nil
	}
	places := []string{
		"/usr/lib/serveflow",
		"/usr/local/lib",
		filepath.Join("build", "onnxruntime"),
	}
	if executable, err := os.Executable(); err == nil {
		places = append([]string{filepath.Join(filepath.Dir(executable), "lib")}, places...)
	}
	for _, place := range places {
		path := filepath.Join(place, libraryName)
		_, err := os.Stat(path)
		if err == nil {
			return filepath.Abs(path)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", fmt.Errorf("%s is in none of %s", libraryName, strings.Join(places, ", "))
}

// supported says whether a version, "1.30.0" for example, is new enough.
func supported(version string) bool {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(minor)
	return err == nil && major == "1" && n >= minMinor
}
