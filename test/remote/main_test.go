// Package remote tests remote stages against a real inference server, MLServer with its
// LightGBM runtime, and does harm to it: make remote-e2e.
package remote

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"serveflow/test/program"
)

const root = "../.."

// serveflow is the program, built for the tests, and mlserver that of MLServer.
var (
	serveflow string
	mlserver  = os.Getenv("SERVEFLOW_MLSERVER")
)

func TestMain(m *testing.M) {
	if mlserver == "" {
		os.Exit(m.Run()) // which says what is skipped
	}
	code := program.Main(m, root, &serveflow)
	if len(table) > 0 {
		fmt.Println(tableHead[1:] + strings.Join(table, "\n"))
	}
	os.Exit(code)
}

func needServer(t *testing.T) {
	t.Helper()
	if mlserver == "" {
		t.Skip("SKIPPED: NO INFERENCE SERVER: \"make remote-e2e\" installs MLServer and runs these tests")
	}
}
