package kafka

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"serveflow/test/kafka/broker"
)

// access is a way to a broker: what stands in [kafka] besides, and what of it is wrong at
// first and mended on disk, without a word to the sidecar.
type access struct {
	name, address, more string
	mended              string // the file that is wrong
	wrong, right        []byte
	said                string // what the log and "serveflow check" say while it is
}

// A way to the broker that is wrong costs nothing but room in the queue until it is mended.
func (a *access) test(t *testing.T, b *broker.Broker) {
	topic := b.Topic("labels-" + strings.NewReplacer(" ", "-", "'", "").Replace(a.name))
	if err := os.WriteFile(a.mended, a.wrong, 0o600); err != nil {
		t.Fatal(err)
	}
	r := begin(t, b, newSidecar(t, strings.ReplaceAll(stream(b, topic), b.Address(), a.address)+"\n"+a.more), topic)
	r.forget()
	r.during(5 * time.Second)
	out, err := exec.Command(serveflow, "check", "-c", r.with.Config()).CombinedOutput()
	if err == nil || !strings.Contains(string(out), a.said) {
		t.Errorf("check: %v: %s", err, out)
	}
	if !strings.Contains(r.with.Said(), a.said) {
		t.Errorf("the log has no word of it:\n%s", r.with.Said())
	}
	if err := os.WriteFile(a.mended, a.right, 0o600); err != nil {
		t.Fatal(err)
	}
	time.Sleep(7 * time.Second)
	if out, err := exec.Command(serveflow, "check", "-c", r.with.Config()).CombinedOutput(); err != nil {
		t.Errorf("check: %v: %s", err, out)
	}
	r.settle(a.name+" wrong for 5 s, then mended on disk").want(t, 8*rate)
}

func TestCredentialsWrong(t *testing.T) {
	b := broker.Start(t)
	for _, mechanism := range []string{"plain", "scram-sha-256", "scram-sha-512"} {
		t.Run(mechanism, func(t *testing.T) {
			password := filepath.Join(t.TempDir(), "password")
			(&access{
				name: "password of " + mechanism, address: b.SASL(),
				more:   fmt.Sprintf("sasl = %q\nuser = \"serveflow\"\npassword_file = %q", mechanism, password),
				mended: password, wrong: []byte("wrong\n"), right: []byte("right\n"), said: "kafka.password_file",
			}).test(t, b)
		})
	}
}

// The broker's certificate, that of the client, and signing in over TLS.
func TestTLS(t *testing.T) {
	b := broker.New(t)
	right, wrong := broker.NewAuthority(t, "right"), broker.NewAuthority(t, "wrong")
	b.Certify(right, net.IPv4(127, 0, 0, 1))
	b.Start()
	b.Await()
	dir := t.TempDir()
	file := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ca := file("ca.pem", right.Certificate())
	cert, key := right.Issue("serveflow", nil)
	// The same key with a certificate that the broker does not trust.
	strange := wrong.Certify("serveflow", key)
	password := file("password", nil)
	for _, a := range []access{
		{name: "authority of the broker's certificate", address: b.TLS(), mended: filepath.Join(dir, "other.pem"),
			more:  fmt.Sprintf("tls = true\nca = %q", filepath.Join(dir, "other.pem")),
			wrong: wrong.Certificate(), right: right.Certificate(), said: "kafka.ca"},
		{name: "client's certificate", address: b.MutualTLS(), mended: filepath.Join(dir, "client.pem"),
			more:  fmt.Sprintf("tls = true\nca = %q\ncert = %q\nkey = %q", ca, filepath.Join(dir, "client.pem"), file("key.pem", key)),
			wrong: strange, right: cert, said: "kafka.cert"},
		{name: "password of plain over TLS", address: b.TLSWithSASL(), mended: password,
			more:  fmt.Sprintf("tls = true\nca = %q\nsasl = \"plain\"\nuser = \"serveflow\"\npassword_file = %q", ca, password),
			wrong: []byte("wrong"), right: []byte("right"), said: "kafka.password_file"},
		{name: "password of scram-sha-512 over TLS", address: b.TLSWithSASL(), mended: password,
			more:  fmt.Sprintf("tls = true\nca = %q\nsasl = \"scram-sha-512\"\nuser = \"serveflow\"\npassword_file = %q", ca, password),
			wrong: []byte("wrong"), right: []byte("right"), said: "kafka.password_file"},
	} {
		t.Run(a.name, func(t *testing.T) { a.test(t, b) })
	}
	for name, c := range map[string]struct{ address, more, said string }{
		"no TLS to a port with it":   {b.TLS(), "", "kafka.tls"},
		"TLS to a port without it":   {b.Address(), fmt.Sprintf("tls = true\nca = %q", ca), "kafka.tls"},
		"no certificate of a client": {b.MutualTLS(), fmt.Sprintf("tls = true\nca = %q", ca), "kafka.cert"},
		"another name":               {strings.ReplaceAll(b.TLS(), "127.0.0.1", "localhost"), fmt.Sprintf("tls = true\nca = %q", ca), "kafka.brokers as its certificate"},
		"the system's authorities":   {b.TLS(), "tls = true", "kafka.ca"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSidecar(t, strings.ReplaceAll(stream(b, "labels"), b.Address(), c.address)+"\n"+c.more)
			out, err := exec.Command(serveflow, "check", "-c", s.Config()).CombinedOutput()
			if err == nil || !strings.Contains(string(out), c.said) {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
