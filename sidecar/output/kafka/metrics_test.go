package kafka

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"
)

var update = flag.Bool("update", false, "rewrite testdata/metrics.txt")

const golden = "testdata/metrics.txt"

// docs/metrics.md names every metric and every reason.
func TestDocumented(t *testing.T) {
	data, err := os.ReadFile("../../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	s, err := Open(Options{
		Server: Server{Brokers: []string{"127.0.0.1:1"}},
		Topic:  "labels", Compression: "none", Queue: t.TempDir(), QueueSize: 1 << 20, Memory: 1 << 20, Log: zerolog.Nop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(t.Context())
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(s)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if len(families) != 9 {
		t.Errorf("%d metrics", len(families))
	}
	var text bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
			t.Fatal(err)
		}
	}
	if *update {
		if err := os.WriteFile(golden, text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(golden); err != nil || text.String() != string(want) {
		t.Errorf("the metrics differ from %s (see -update): %v; got:\n%s", golden, err, text.String())
	}
	for _, f := range families {
		if name := f.GetName(); !strings.Contains(page, "`"+name+"`") && !strings.Contains(page, "`"+name+"{") {
			t.Errorf("docs/metrics.md does not name %s", name)
		}
		for _, m := range f.Metric {
			for _, l := range m.Label {
				if !strings.Contains(page, "`"+l.GetValue()+"`") {
					t.Errorf("docs/metrics.md does not name the reason %s", l.GetValue())
				}
			}
		}
	}
}

// A client can be made of the options, whatever they are.
func TestOptions(t *testing.T) {
	for _, c := range Compressions {
		if _, err := codec(c); err != nil {
			t.Errorf("%s: %v", c, err)
		}
	}
	for _, m := range append(Mechanisms, "") {
		password := t.TempDir() + "/password"
		if err := os.WriteFile(password, []byte("secret\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		opts, err := (&Server{Brokers: []string{"127.0.0.1:1"}, TLS: true, SASL: m, User: "u", Password: password}).options()
		if err != nil {
			t.Fatalf("%s: %v", m, err)
		}
		client, err := kgo.NewClient(opts...)
		if err != nil {
			t.Fatalf("%s: %v", m, err)
		}
		client.Close()
	}
	for text, s := range map[string]Server{
		"holds no certificate": {TLS: true, CA: "metrics_test.go"},
		"kafka.ca":             {TLS: true, CA: "none"},
		"kafka.cert":           {TLS: true, Cert: "none", Key: "none"},
		"kafka.password_file":  {SASL: "plain", Password: "none"},
		"no file of at most":   {SASL: "plain", Password: "."},
		"is none of":           {SASL: "magic", Password: "doc.go"},
	} {
		if _, err := s.options(); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
