package kafka

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"serveflow/sidecar/operate/credentials"
)

// Options are what a Stream is made of.
type Options struct {
	Server
	Host        string // name of this machine, in every record
	Topic       string // of decisions
	EVETopic    string // of EVE records; empty: they are not sent
	Compression string // one of Compressions
	Queue       string // directory of the queue
	QueueSize   int64  // bytes of its files
	Memory      int    // bytes of records in memory, at least 1 MiB; Bytes says what this comes to
	Log         zerolog.Logger
}

// Bytes is how much a stream takes in all with so much Options.Memory: the client keeps
// as much beside the records, and compressors have buffers of their own.
func Bytes(memory int64) int64 { return 2*memory + 32<<20 }

// Server says how brokers are reached.
type Server struct {
	Brokers  []string // host:port, to ask for the others
	TLS      bool
	CA       string // file of the authorities that sign brokers' certificates; empty: the system's
	Cert     string // files of the client's certificate and key; empty: it has none
	Key      string
	SASL     string // one of Mechanisms, or empty
	User     string
	Password string // file that holds it
}

// Compressions are the ways to compress batches.
var Compressions = []string{"none", "gzip", "snappy", "lz4", "zstd"}

// Mechanisms are the ways to sign in.
var Mechanisms = []string{"plain", "scram-sha-256", "scram-sha-512"}

// maxPassword is how large a file with a password may be.
const maxPassword = 4 << 10

// options are those of a client, with certificates and password as they are on disk now.
func (s *Server) options() ([]kgo.Opt, error) {
	opts := []kgo.Opt{
		kgo.SeedBrokers(s.Brokers...),
		kgo.ClientID("serveflow"),
		kgo.DialTimeout(5 * time.Second),
		kgo.DisableClientMetrics(),
		kgo.FetchMaxBytes(1 << 20), // nothing is fetched, and the next has to be more
		kgo.BrokerMaxReadBytes(4 << 20),
	}
	if s.TLS {
		config, err := s.tls()
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.DialTLSConfig(config))
	}
	if s.SASL == "" {
		return opts, nil
	}
	password, err := readPassword(s.Password)
	if err != nil {
		return nil, err
	}
	switch s.SASL {
	case "plain":
		opts = append(opts, kgo.SASL(plain.Auth{User: s.User, Pass: password}.AsMechanism()))
	case "scram-sha-256":
		opts = append(opts, kgo.SASL(scram.Auth{User: s.User, Pass: password}.AsSha256Mechanism()))
	case "scram-sha-512":
		opts = append(opts, kgo.SASL(scram.Auth{User: s.User, Pass: password}.AsSha512Mechanism()))
	default:
		return nil, fmt.Errorf("kafka.sasl: %q is none of %s", s.SASL, strings.Join(Mechanisms, ", "))
	}
	return opts, nil
}

func (s *Server) tls() (*tls.Config, error) {
	config, err := credentials.Client(s.CA)
	if err != nil {
		return nil, fmt.Errorf("kafka.ca: %w", err)
	}
	if s.Cert != "" {
		pair, err := credentials.Pair(s.Cert, s.Key)
		if err != nil {
			return nil, fmt.Errorf("kafka.cert: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

func readPassword(path string) (string, error) {
	text, err := credentials.Read(path, maxPassword)
	if err != nil {
		return "", fmt.Errorf("kafka.password_file: %w", err)
	}
	password := strings.TrimRight(string(text), "\r\n")
	if password == "" {
		return "", fmt.Errorf("kafka.password_file: %s is empty", path)
	}
	return password, nil
}

// codecs are how the client compresses, by the names of Compressions.
func codec(name string) (kgo.CompressionCodec, error) {
	switch name {
	case "none":
		return kgo.NoCompression(), nil
	case "gzip":
		return kgo.GzipCompression(), nil
	case "snappy":
		return kgo.SnappyCompression(), nil
	case "lz4":
		return kgo.Lz4Compression(), nil
	case "zstd":
		return kgo.ZstdCompression().WithLevel(1), nil
	}
	return kgo.CompressionCodec{}, errors.New("kafka.compression: no such way to compress")
}
