package sidecar

import (
	"cmp"
	"os"

	"github.com/rs/zerolog"

	"serveflow/sidecar/operate/config"
	"serveflow/sidecar/output/kafka"
)

// KafkaOptions are the options of a stream by its configuration, with so many bytes of
// records in memory.
func KafkaOptions(c config.Kafka, memory int64, log zerolog.Logger) kafka.Options {
	host, _ := os.Hostname() // none is the empty name
	return kafka.Options{
		Server: kafka.Server{
			Brokers: c.Brokers, TLS: c.TLS, CA: c.CA, Cert: c.Cert, Key: c.Key,
			SASL: c.SASL, User: c.User, Password: c.PasswordFile,
		},
		Host: cmp.Or(c.Host, host), Topic: c.Topic, EVETopic: c.EVETopic, Compression: c.Compression,
		Queue: c.Queue, QueueSize: c.QueueSize, Memory: int(memory), Log: log,
	}
}
