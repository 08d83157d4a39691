package suricata

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"serveflow/test/engine"
)

// The columns of layouts.inc.
var layoutFields = []string{
	"packet sp", "packet dp", "packet proto", "packet flags", "packet flow", "packet hash", "packet ts", "packet ip4",
	"packet ip6", "packet size", "packet ext", "packet data", "flow sp", "flow dp", "flow proto", "flow hash", "flow lastts",
	"flow flags", "flow startts", "flow to_server", "flow to_client", "flow alproto",
}

// layoutRows are the rows of layouts.inc for a major version, as the compiler puts them
// into the plugin: three unsigned numbers and then the columns in 16 bits each. The last
// one is that of the Suricata that is here.
func layoutRows(t *testing.T, version string) (rows [][]byte) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(engine.Root(t), "suricata-lua/plugin/src/layouts.inc"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "//")
		numbers := regexp.MustCompile(`\d+`).FindAllString(line, -1)
		if len(numbers) != 3+len(layoutFields) || numbers[0] != version {
			continue
		}
		var row []byte
		for i, s := range numbers {
			n, err := strconv.ParseUint(s, 10, 16)
			if err != nil {
				t.Fatal(err)
			}
			if i < 3 {
				row = binary.LittleEndian.AppendUint32(row, uint32(n))
			} else {
				row = binary.LittleEndian.AppendUint16(row, uint16(n))
			}
		}
		rows = append(rows, row)
	}
	if rows == nil {
		t.Fatalf("no row of Suricata %s", version)
	}
	return rows
}

func TestSuricata7PluginLayout(t *testing.T) {
	wrongLayout(t, suricata{version: "7", command: "suricata", tap: "plugin"})
}

func TestSuricata8PluginLayout(t *testing.T) { wrongLayout(t, suricata8(t).with("plugin")) }

// wrongLayout: a plugin that has one thing where Suricata does not keep it says so,
// labels nothing, and disturbs nothing, and so does one that does not know this Suricata.
func wrongLayout(t *testing.T, e suricata) {
	e.need(t)
	right, err := os.ReadFile(plugin(t))
	if err != nil {
		t.Fatal(err)
	}
	rows := layoutRows(t, e.version)
	var capture engine.Capture
	for _, c := range engine.Committed(t) {
		if c.Name == "http" {
			capture = c // has IPv4 and IPv6
		}
	}
	plain, _ := e.with("none").run(t, capture, 1, "", "")
	want := starts(t, plain)
	try := func(t *testing.T, changed [][]byte, change func(row []byte), says string) {
		t.Helper()
		wrong := right
		for _, row := range changed {
			if !bytes.Contains(right, row) {
				t.Fatal("the row is not in the plugin")
			}
			other := bytes.Clone(row)
			change(other)
			wrong = bytes.ReplaceAll(wrong, row, other)
		}
		file := filepath.Join(t.TempDir(), "serveflow.so")
		if err := os.WriteFile(file, wrong, 0o700); err != nil {
			t.Fatal(err)
		}
		with := e.with("none")
		with.args = append(with.args[:len(with.args):len(with.args)], "--set", "plugins.0="+file)
		with.faults = true
		eve, said := with.run(t, capture, 1, filepath.Join(t.TempDir(), "nobody"), "")
		if !strings.Contains(said, "no flow will be labelled") || !strings.Contains(said, says) {
			t.Errorf("it does not say %q:\n%s", says, said)
		}
		if got := starts(t, eve); got != want {
			t.Errorf("flows\n%swithout the plugin\n%s", got, want)
		}
	}
	for i, field := range layoutFields {
		if field == "packet ip6" && e.version == "8" {
			continue // one with ip4
		}
		if field == "flow alproto" && e.version == "7" {
			continue // read of 8 alone
		}
		t.Run(field, func(t *testing.T) {
			column := 12 + 2*i
			for _, by := range []uint16{8, 1} {
				try(t, rows[len(rows)-1:], func(row []byte) {
					value := binary.LittleEndian.Uint16(row[column:]) + by
					binary.LittleEndian.PutUint16(row[column:], value)
					if field == "packet ip4" && e.version == "8" {
						binary.LittleEndian.PutUint16(row[column+2:], value)
					}
				}, "where it was expected")
			}
		})
	}
	t.Run("version", func(t *testing.T) {
		try(t, rows, func(row []byte) { row[4] = 77 }, "not one that this plugin was made for")
	})
}
