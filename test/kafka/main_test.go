package kafka

import (
	"os"
	"testing"

	"serveflow/test/program"
)

const root = "../.."

// serveflow is the program, built for the tests.
var serveflow string

func TestMain(m *testing.M) {
	if os.Getenv("SERVEFLOW_KAFKA") == "" {
		os.Exit(m.Run()) // which says what is skipped
	}
	os.Exit(program.Main(m, root, &serveflow))
}

// needBroker skips a test, aloud, where no broker was asked for.
func needBroker(t *testing.T) {
	t.Helper()
	if os.Getenv("SERVEFLOW_KAFKA") == "" {
		t.Skip("SKIPPED: NO BROKER: \"make kafka-e2e\" fetches Apache Kafka and runs these tests")
	}
}
