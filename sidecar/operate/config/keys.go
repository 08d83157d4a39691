package config

// tables are the tables of the file; other keys are at its top level.
var tables = []string{"listen", "flow", "limits", "labels", "shadow", "eve", "kafka", "privacy", "telemetry", "log", "onnx", "inference"}

// setter stores one decoded TOML value, or returns what it expects instead.
type setter func(v any) error

// keys returns every key of the file with the field of c it sets.
func (c *Config) keys() map[string]setter {
	return map[string]setter{
		"bundle":       text(&c.Bundle),
		"trusted_keys": texts(&c.TrustedKeys),
		"suppress":     suppressions(&c.Suppress),

		"listen.socket":          text(&c.Listen.Socket),
		"listen.mode":            mode(&c.Listen.Mode),
		"listen.owner":           text(&c.Listen.Owner),
		"listen.group":           text(&c.Listen.Group),
		"listen.allow_uids":      uids(&c.Listen.AllowUIDs),
		"listen.max_connections": number(&c.Listen.MaxConnections),
		"listen.hello_timeout":   duration(&c.Listen.HelloTimeout),
		"listen.idle_timeout":    duration(&c.Listen.IdleTimeout),

		"flow.shards":       number(&c.Flow.Shards),
		"flow.max_flows":    number(&c.Flow.MaxFlows),
		"flow.idle_timeout": duration(&c.Flow.IdleTimeout),
		"flow.retention":    duration(&c.Flow.Retention),
		"flow.deadline":     duration(&c.Flow.Deadline),

		"limits.memory": size(&c.Limits.Memory),

		"labels.path":     text(&c.Labels.Path),
		"labels.max_size": size(&c.Labels.MaxSize),
		"labels.keep":     number(&c.Labels.Keep),

		"shadow.bundle":   text(&c.Shadow.Bundle),
		"shadow.path":     text(&c.Shadow.Path),
		"shadow.max_size": size(&c.Shadow.MaxSize),
		"shadow.keep":     number(&c.Shadow.Keep),

		"eve.listen":      text(&c.EVE.Listen),
		"eve.mode":        mode(&c.EVE.Mode),
		"eve.owner":       text(&c.EVE.Owner),
		"eve.group":       text(&c.EVE.Group),
		"eve.sensor":      text(&c.EVE.Sensor),
		"eve.output":      text(&c.EVE.Output),
		"eve.max_size":    size(&c.EVE.MaxSize),
		"eve.keep":        number(&c.EVE.Keep),
		"eve.wait":        duration(&c.EVE.Wait),
		"eve.max_waiting": number(&c.EVE.MaxWaiting),

		"kafka.brokers":       texts(&c.Kafka.Brokers),
		"kafka.topic":         text(&c.Kafka.Topic),
		"kafka.eve_topic":     text(&c.Kafka.EVETopic),
		"kafka.host":          text(&c.Kafka.Host),
		"kafka.compression":   text(&c.Kafka.Compression),
		"kafka.tls":           truth(&c.Kafka.TLS),
		"kafka.ca":            text(&c.Kafka.CA),
		"kafka.cert":          text(&c.Kafka.Cert),
		"kafka.key":           text(&c.Kafka.Key),
		"kafka.sasl":          text(&c.Kafka.SASL),
		"kafka.user":          text(&c.Kafka.User),
		"kafka.password_file": text(&c.Kafka.PasswordFile),
		"kafka.queue":         text(&c.Kafka.Queue),
		"kafka.queue_size":    size(&c.Kafka.QueueSize),
		"kafka.memory":        size(&c.Kafka.Memory),

		"telemetry.listen":       text(&c.Telemetry.Listen),
		"telemetry.allow_remote": truth(&c.Telemetry.AllowRemote),

		"log.level":  text(&c.Log.Level),
		"log.format": text(&c.Log.Format),

		"privacy.payload": truth(&c.Privacy.Payload),

		"onnx.library": text(&c.ONNX.Library),
		"onnx.queue":   number(&c.ONNX.Queue),
		"onnx.batch":   number(&c.ONNX.Batch),

		"inference.endpoints": texts(&c.Inference.Endpoints),
		"inference.tls":       truth(&c.Inference.TLS),
		"inference.ca":        text(&c.Inference.CA),
	}
}
