package eve

import (
	"fmt"
	"strings"
	"testing"

	"serveflow/sidecar/decide/cascade"
	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/output/decision"
)

// named is a record of which Suricata says the protocol.
func named(record, app string) string {
	return strings.Replace(record, `"event_type"`, fmt.Sprintf(`"app_proto":%q,"event_type"`, app), 1)
}

// Records that name a protocol say whether it goes together with the label.
func TestAgrees(t *testing.T) {
	r := start(t, nil)
	for id, services := range []string{1: "http,tls", 2: ""} {
		if id > 0 {
			d := decided(uint64(id))
			d.Services = services
			r.Write([]decision.Record{d})
		}
	}
	ending := func(record, agrees string) string {
		id := uint64(1)
		if strings.Contains(record, `"flow_id":2`) {
			id = 2
		}
		return strings.TrimSuffix(with(record, id), "}}") + agrees + "}}"
	}
	var sent, want []string
	for _, c := range []struct{ record, agrees string }{
		{named(alert(1), "tls"), `,"agrees":true`},
		{named(alert(1), "dns"), `,"agrees":false`},
		{named(alert(1), "failed"), ""},
		{named(alert(2), "tls"), ""},
		{alert(1), ""},
		{strings.Replace(alert(1), `"event_type"`, `"app_proto":7,"event_type"`, 1), ""},
		{named(flowRecord(1), "http"), `,"agrees":true`},
	} {
		sent, want = append(sent, c.record), append(want, ending(c.record, c.agrees))
	}
	r.send(sent...)
	r.want(want...)
}

// A decision that a flow record triggered has the protocol that the record names,
// and no other decision is.
func TestAgreesInTheLabelLog(t *testing.T) {
	r := start(t, nil)
	decisions := make(chan decision.Record, 3)
	r.decide = func(e flow.Event) {
		d := decided(e.ID.Uint())
		d.Services, d.Reason = "http,tls", cascade.FlowEnd.String()
		if e.ID.Uint() == 3 {
			d.Reason = cascade.Accepted.String()
		}
		records := []decision.Record{d}
		r.Write(records)
		decisions <- records[0]
	}
	for id, c := range []struct {
		app  string
		want decision.Agreement
	}{1: {"tls", decision.Agrees}, 2: {"dns", decision.Disagrees}, 3: {"dns", decision.NotKnown}} {
		if id == 0 {
			continue
		}
		r.send(named(flowRecord(uint64(id)), c.app))
		if got := <-decisions; got.Agrees != c.want {
			t.Errorf("%s in the record of flow %d: %d, want %d", c.app, id, got.Agrees, c.want)
		}
	}
}

// A bundle that was changed in place has other lists by the same name.
func TestServicesOfAChangedBundle(t *testing.T) {
	r := start(t, nil)
	for id, services := range []string{1: "http", 2: "tls"} {
		if id > 0 {
			d := decided(uint64(id))
			d.Services = services
			r.Write([]decision.Record{d})
		}
	}
	r.send(named(alert(1), "tls"), named(alert(2), "tls"))
	r.until("two lines", func() bool { return len(r.lines()) == 2 })
	for i, want := range []string{`"agrees":false`, `"agrees":true`} {
		if line := r.lines()[i]; !strings.Contains(line, want) {
			t.Errorf("%s: want %s", line, want)
		}
	}
}
