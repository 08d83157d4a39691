package kafka

import (
	"os"
	"testing"

	"serveflow/test/kafka/broker"
	"serveflow/test/program"
)

const root = "../.."

// serveflow is the program, built for the tests.
var serveflow string

func TestMain(m *testing.M) {
	if !broker.Wanted() {
		os.Exit(m.Run()) // which says what is skipped
	}
	code := program.Main(m, root, &serveflow)
	printTable()
	os.Exit(code)
}
