// Package machine names the machine that measurements come from.
package machine

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// Name is the processor as far as the kernel tells, how many of them there are, and
// the Go that the program was built with. Figures of machines with different names
// cannot be compared.
func Name() string {
	return fmt.Sprintf("%d x %s, %s/%s, %s", runtime.NumCPU(), processor(), runtime.GOOS, runtime.GOARCH, runtime.Version())
}

func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	return model(string(text))
}

// model is the model of the first processor in the text of /proc/cpuinfo, see proc(5).
func model(cpuinfo string) string {
	for line := range strings.Lines(cpuinfo) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" && strings.TrimSpace(value) != "" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}
