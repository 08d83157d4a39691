// Package config reads the configuration of "serveflow run".
//
// The file is TOML. Every key has a default that runs, so no file at all is a valid
// configuration: start from Default, Load a file over it, and set what the command
// line overrides, followed by Validate.
//
// A file with a mistake is refused whole, and all mistakes are reported at once,
// each with its key, its line, its value and what is allowed. Unknown keys are
// mistakes too: an ignored misspelt key would leave its default in force.
// packaging/serveflow.toml explains every key.
//
// The package checks values, not the machine: whether a group exists, a port is
// free or a bundle is valid is checked by the packages that use them.
package config

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"time"

	"golang.org/x/sys/unix"
)

// Config is the configuration of "serveflow run".
type Config struct {
	// Bundle names an embedded bundle, or a directory or an archive that holds one.
	Bundle string
	// TrustedKeys are public keys of minisign. With any, a bundle that is not
	// embedded must be signed by one of them.
	TrustedKeys []string
	Listen      Listen
	Flow        Flow
	Limits      Limits
	Labels      Labels
	Shadow      Shadow
	EVE         EVE
	Kafka       Kafka
	Privacy     Privacy
	Telemetry   Telemetry
	Log         Log
	ONNX        ONNX
	Inference   Inference
	// Suppress are decisions that become unknown.
	Suppress []Suppress
}

// Listen is the Unix socket that taps connect to.
type Listen struct {
	Socket         string        // path of the socket
	Mode           fs.FileMode   // permission bits of the socket
	Owner          string        // user that owns the socket; empty: the process's own
	Group          string        // group of the socket; empty: the process's own
	AllowUIDs      []uint32      // users that may connect; empty: all that the mode permits
	MaxConnections int           // connections at a time
	HelloTimeout   time.Duration // a connection without a HELLO is closed after it
	IdleTimeout    time.Duration // a live tap that has sent STATS and is silent is disconnected after it; 0: never
}

// Flow bounds the flow tables.
type Flow struct {
	Shards      int           // goroutines that own flows; 0: one for each CPU
	MaxFlows    int           // flows tracked at a time, over all shards
	IdleTimeout time.Duration // an undecided flow without packets is decided after it
	Retention   time.Duration // a decided flow without packets is removed after it
	Deadline    time.Duration // a live flow waits no longer than this for a slow stage
}

// Limits bound the process.
type Limits struct {
	Memory int64 // bytes; 0: as the machine and the control group permit
}

// Labels is the label log.
type Labels struct {
	Path    string // file that decisions are appended to
	MaxSize int64  // bytes after which the file is rotated
	Keep    int    // rotated files that are kept
}

// Shadow is a second bundle that decides the same flows beside the one that is served,
// for nobody but its own label log.
type Shadow struct {
	Bundle  string // as Config.Bundle; empty: none
	Path    string // file that its decisions are appended to
	MaxSize int64  // bytes after which the file is rotated
	Keep    int    // rotated files that are kept
}

// EVE is the socket for Suricata's EVE records, and the output for them with their
// labels.
type EVE struct {
	Listen     string        // path of the socket; empty: no listener
	Mode       fs.FileMode   // permission bits of the socket
	Owner      string        // user that owns the socket; empty: the process's own
	Group      string        // group of the socket; empty: the process's own
	Sensor     string        // sensor of the taps in the same Suricata
	Output     string        // file or FIFO, or "unix:" and the path of a socket
	MaxSize    int64         // bytes after which an output that is a file is rotated
	Keep       int           // rotated files that are kept
	Wait       time.Duration // how long a flow record waits for its label; 0: not at all
	MaxWaiting int           // flow records that wait at a time
}

// Kafka is where decisions are streamed to.
type Kafka struct {
	Brokers      []string // host:port; none: no stream
	Topic        string   // of decisions
	EVETopic     string   // of EVE records with labels; empty: they are not sent
	Host         string   // name of this machine in every record; empty: the system's
	Compression  string   // none, gzip, snappy, lz4 or zstd
	TLS          bool
	CA           string // file of authorities; empty: the system's
	Cert         string // files of the client's certificate and key; empty: none
	Key          string
	SASL         string // plain, scram-sha-256, scram-sha-512; empty: nobody signs in
	User         string
	PasswordFile string
	Queue        string // directory of what is not sent yet
	QueueSize    int64  // bytes of its files
	Memory       int64  // bytes of records in memory
}

// Privacy limits what is read of packets.
type Privacy struct {
	Payload bool // taps may be asked for the first bytes of payload
}

// Telemetry is the HTTP listener of /metrics and /healthz.
type Telemetry struct {
	Listen      string // host:port; empty: no listener
	AllowRemote bool   // permit an address that is not loopback
}

// Log is the program's own log on standard error.
type Log struct {
	Level  string // debug, info, warn or error
	Format string // auto (console on a terminal, JSON elsewhere), console or json
}

// ONNX configures the ONNX Runtime.
type ONNX struct {
	Library string // path of libonnxruntime; empty: look in the usual places
	Queue   int    // rows waiting for a batch, over all shards
	Batch   int    // rows in a batch at most
}

// Inference is where the inference servers of remote stages are.
type Inference struct {
	Endpoints []string // host:port
	TLS       bool
	CA        string // file of authorities; empty: the system's
}

// Default returns the configuration that an empty file gives.
func Default() Config {
	return Config{
		Bundle: "channel",
		Listen: Listen{
			Socket:         "/run/serveflow/serveflow.sock",
			Mode:           0o660,
			MaxConnections: 1024,
			HelloTimeout:   5 * time.Second,
			IdleTimeout:    10 * time.Minute,
		},
		Flow: Flow{
			MaxFlows:    1_000_000,
			IdleTimeout: 10 * time.Second,
			Retention:   5 * time.Minute,
			Deadline:    50 * time.Millisecond,
		},
		Labels: Labels{
			Path:    "/var/log/serveflow/labels.jsonl",
			MaxSize: 256 << 20,
			Keep:    4,
		},
		Shadow: Shadow{
			Path:    "/var/log/serveflow/shadow.jsonl",
			MaxSize: 256 << 20,
			Keep:    4,
		},
		EVE: EVE{
			Mode:       0o660,
			Sensor:     "suricata",
			Output:     "/var/log/serveflow/eve.json",
			MaxSize:    1 << 30,
			Keep:       4,
			Wait:       2 * time.Second,
			MaxWaiting: 20_000,
		},
		Kafka: Kafka{
			Topic:       "serveflow-labels",
			Compression: "lz4",
			Queue:       "/var/lib/serveflow/kafka",
			QueueSize:   1 << 30,
			Memory:      32 << 20,
		},
		Privacy:   Privacy{Payload: true},
		Telemetry: Telemetry{Listen: "127.0.0.1:9477"},
		Log:       Log{Level: "info", Format: "auto"},
		ONNX:      ONNX{Queue: 4096, Batch: 32},
	}
}

// Differs names the tables of the file in which c and other differ, the bundle
// aside, and the shadow's if c has one.
func (c *Config) Differs(other Config) (names []string) {
	shadow := c.Shadow
	if shadow.Bundle != "" {
		shadow.Bundle = other.Shadow.Bundle
	}
	for i, pair := range [][2]any{
		{c.Listen, other.Listen}, {c.Flow, other.Flow}, {c.Limits, other.Limits}, {c.Labels, other.Labels}, {shadow, other.Shadow}, {c.EVE, other.EVE},
		{c.Kafka, other.Kafka},
		{c.Privacy, other.Privacy}, {c.Telemetry, other.Telemetry}, {c.Log, other.Log}, {c.ONNX, other.ONNX},
		{c.Inference, other.Inference},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			names = append(names, tables[i])
		}
	}
	return names
}

// maxFile bounds what Load reads: a configuration has some kilobytes.
const maxFile = 64 << 10

// Load reads the file at path over the defaults.
func Load(path string) (Config, error) {
	// O_NONBLOCK: opening a FIFO must not block.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return Config{}, fmt.Errorf("reading the configuration: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return Config{}, fmt.Errorf("reading the configuration: %w", err)
	} else if !info.Mode().IsRegular() {
		return Config{}, fmt.Errorf("reading the configuration: %s is not a regular file, so a reload could not read it again", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return Config{}, fmt.Errorf("reading the configuration: %w", err)
	}
	if len(data) > maxFile {
		return Config{}, fmt.Errorf("reading the configuration: %s is larger than %d bytes", path, maxFile)
	}
	return Parse(data, path)
}
