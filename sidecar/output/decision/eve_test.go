package decision

import (
	"encoding/json"
	"math"
	"testing"
)

func TestCompare(t *testing.T) {
	for _, test := range []struct {
		services, name string
		want           Agreement
	}{
		{"http,tls,ssl", "tls", Agrees},
		{"tls", "tls", Agrees},
		{"http,tls,ssl", "tl", Disagrees},
		{"http,tls,ssl", "tls,ssl", Disagrees},
		{"http,tls,ssl", "dns", Disagrees},
		{"http", "failed", NotKnown},
		{"http", "unknown", NotKnown},
		{"http", "", NotKnown},
		{"", "http", NotKnown},
	} {
		if got := Compare(test.services, test.name); got != test.want {
			t.Errorf("%q with %q: %d, want %d", test.services, test.name, got, test.want)
		}
	}
}

func TestAppendEVE(t *testing.T) {
	for _, test := range []struct {
		name  string
		r     Record
		whole string
		short string
	}{
		{"a decision", Record{Label: "camera", Score: .96875, Margin: .9375, Stage: "first", Packets: 1, LatencyUS: 812, Model: "iot-device@1.0.0", Reason: "accepted"},
			`,"serveflow":{"label":"camera","score":0.96875,"margin":0.9375,"stage":"first","packets":1,"latency_us":812,"model":"iot-device","version":"1.0.0","reason":"accepted"}`,
			`,"serveflow":{"label":"camera","score":0.96875}`},
		{"a protocol that goes with it", Record{Label: "camera", Agrees: Agrees, Model: "m@1", Reason: "timeout"},
			`,"serveflow":{"label":"camera","score":0,"margin":0,"stage":"","packets":0,"latency_us":0,"model":"m","version":"1","reason":"timeout","agrees":true}`,
			`,"serveflow":{"label":"camera","score":0,"agrees":true}`},
		{"one that does not", Record{Label: "camera", Agrees: Disagrees, Model: "m@1", Reason: "timeout"},
			`,"serveflow":{"label":"camera","score":0,"margin":0,"stage":"","packets":0,"latency_us":0,"model":"m","version":"1","reason":"timeout","agrees":false}`,
			`,"serveflow":{"label":"camera","score":0,"agrees":false}`},
		{"no model was asked", Record{Label: "unknown", Reason: "partial", Model: "no version"},
			`,"serveflow":{"label":"unknown","score":0,"margin":0,"stage":"","packets":0,"latency_us":0,"model":"no version","version":"","reason":"partial"}`,
			`,"serveflow":{"label":"unknown","score":0}`},
		{"odd", Record{Label: "a\"b\n", Score: float32(math.NaN()), Margin: float32(math.Inf(1)), LatencyUS: -5, Model: "a@b@2", Reason: "\\"},
			`,"serveflow":{"label":"a\"b\u000a","score":null,"margin":null,"stage":"","packets":0,"latency_us":-5,"model":"a@b","version":"2","reason":"\\"}`,
			`,"serveflow":{"label":"a\"b\u000a","score":null}`},
	} {
		w := NewWords(&test.r)
		whole := string(AppendEVE(nil, &w, test.r.Score, test.r.Margin, test.r.Packets, test.r.LatencyUS, test.r.Agrees))
		short := string(AppendShortEVE(nil, &w, test.r.Score, test.r.Agrees))
		if whole != test.whole || short != test.short {
			t.Errorf("%s: got\n%s\n%s\nwant\n%s\n%s", test.name, whole, short, test.whole, test.short)
		}
		if !json.Valid([]byte(`{"flow_id":1`+whole+`}`)) || !json.Valid([]byte(`{"flow_id":1`+short+`}`)) {
			t.Errorf("%s: not JSON", test.name)
		}
	}
}
