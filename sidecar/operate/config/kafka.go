package config

import (
	"net"
	"regexp"
	"strconv"
)

var topicForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,249}$`)

// maxServers is how many brokers or servers may be named.
const maxServers = 64

// kafka checks the stream to Kafka, of which nothing but the
// form of its values matters where no broker is named.
func (ck *checker) kafka(k *Kafka) {
	ck.servers("kafka.brokers", k.Brokers)
	isTopic := func(s string) bool { return topicForm.MatchString(s) && s != "." && s != ".." }
	const wantTopic = "want the name of a topic: letters, digits, dots, dashes and underscores, at most 249"
	ck.text("kafka.topic", k.Topic, isTopic(k.Topic), wantTopic)
	ck.text("kafka.eve_topic", k.EVETopic, k.EVETopic == "" || isTopic(k.EVETopic), wantTopic+", or nothing")
	ck.text("kafka.host", k.Host, len(k.Host) <= maxSensor && printable(k.Host), "want a name of at most 256 bytes")
	ck.word("kafka.compression", k.Compression, "none", "gzip", "snappy", "lz4", "zstd")
	ck.certificates("kafka", k.TLS, k.CA, k.Cert, k.Key)
	if k.SASL != "" {
		ck.word("kafka.sasl", k.SASL, "plain", "scram-sha-256", "scram-sha-512")
		ck.text("kafka.user", k.User, k.User != "", "want the user that signs in by kafka.sasl")
		ck.text("kafka.password_file", k.PasswordFile, k.PasswordFile != "", "want the file that holds the password of kafka.user")
	}
	ck.text("kafka.user", k.User, printable(k.User) && (k.User == "" || k.SASL != ""), "want kafka.sasl with it")
	ck.text("kafka.password_file", k.PasswordFile, printable(k.PasswordFile), "want the path of a file")
	ck.text("kafka.queue", k.Queue, k.Queue != "" && printable(k.Queue), "want the path of a directory")
	ck.bytes("kafka.queue_size", k.QueueSize, 1<<20, 1<<40, `want "1MiB" to "1TiB"`)
	ck.bytes("kafka.memory", k.Memory, 1<<20, 16<<30, `want "1MiB" to "16GiB"`)
}

// servers checks a list of addresses.
func (ck *checker) servers(key string, all []string) {
	if len(all) > maxServers {
		ck.fail(key, strconv.Itoa(len(all))+" addresses", "want at most 64")
	}
	for _, one := range all {
		host, port, err := net.SplitHostPort(one)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		ck.text(key, one, err == nil && host != "" && printable(one), `want host:port for each`)
	}
}

// certificates checks how servers and client prove who they are.
func (ck *checker) certificates(table string, tls bool, ca, cert, key string) {
	for name, path := range map[string]string{"ca": ca, "cert": cert, "key": key} {
		ck.text(table+"."+name, path, printable(path) && (path == "" || tls), "want "+table+".tls = true with it")
	}
	ck.text(table+".cert", cert, (cert == "") == (key == ""), "want "+table+".cert and "+table+".key together, or neither")
}

func (ck *checker) bytes(key string, n, low, high int64, want string) {
	if n < low || n > high {
		ck.fail(key, strconv.FormatInt(n, 10), want)
	}
}
