package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"serveflow/sidecar/operate/pages"
)

// dialTimeout is how long a socket may take to answer.
const dialTimeout = 2 * time.Second

// socket looks whether somebody listens on a socket.
func (e *examination) socket(topic, table, path string) {
	key := map[string]string{"listen": "listen.socket", "eve": "eve.listen"}[table]
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.wrong(topic, path+" is not there: no sidecar listens on it",
			"systemctl start serveflow, and look at journalctl -u serveflow; or set "+key+" to where it is")
		return
	case err != nil:
		e.wrong(topic, fmt.Sprintf("%s cannot be seen: %v", path, err), "run the doctor as root")
		return
	case info.Mode().Type() != fs.ModeSocket:
		e.wrong(topic, path+" is no socket", "move the file away, or set "+key+" elsewhere")
		return
	}
	conn, err := net.DialTimeout("unix", path, dialTimeout)
	switch {
	case errors.Is(err, fs.ErrPermission):
		e.wrong(topic, fmt.Sprintf("who runs the doctor may not connect to %s (%s)", path, access(info)), "run the doctor as root")
	case err != nil:
		e.wrong(topic, fmt.Sprintf("nobody answers on %s: it was left there by a sidecar that is gone", path),
			"systemctl start serveflow: a new sidecar replaces the file")
	default:
		conn.Close()
		e.ok(topic, "%s, %s", path, access(info))
	}
}

// sidecar asks the running sidecar.
func (e *examination) sidecar(ctx context.Context) {
	address := e.Config.Telemetry.Listen
	if address == "" {
		e.note("sidecar", "it has no HTTP listener, so that nothing of taps, labels and losses can be seen",
			"[telemetry]\nlisten = \"127.0.0.1:9477\"")
		return
	}
	e.client = newClient(address)
	well, lines, err := e.client.Health(ctx)
	if err != nil {
		e.wrong("sidecar", fmt.Sprintf("nobody answers on %s: %v", address, err),
			"systemctl start serveflow; if it runs, give the doctor its configuration (-c)")
		return
	}
	if e.status, err = e.client.Status(ctx); err == nil {
		e.metrics, err = e.client.Metrics(ctx)
	}
	if err != nil {
		e.wrong("sidecar", err.Error(), "systemctl restart serveflow")
		return
	}
	e.answers, e.health = true, lines
	switch {
	case !well:
		e.wrong("sidecar", strings.Join(lines, "; "), "journalctl -u serveflow says since when; systemctl restart serveflow")
	case e.status.Version != e.Version:
		e.wrong("sidecar", fmt.Sprintf("version %s runs, and %s is installed", e.status.Version, e.Version), "systemctl restart serveflow")
	case e.status.Bundle != e.Bundle:
		e.wrong("sidecar", fmt.Sprintf("%s is served, and the configuration names %s", e.status.Bundle, e.Bundle),
			"systemctl reload serveflow; if the log says that the bundle is refused, mend that first")
	default:
		e.ok("sidecar", "version %s answers on %s, serves %s", e.status.Version, address, e.status.Bundle)
	}
	if e.metrics.Sum("serveflow_last_reload_successful") == 0 {
		e.wrong("reload", "the last reload was refused; the bundle before is served on", "journalctl -u serveflow names the file or field")
	}
}

// engineVersions are the first versions that the taps are made and tested for.
var engineVersions = map[string][]string{"zeek": {"8.", "9."}, "suricata": {"7.", "8."}}

// nameIn says where a tap's name is set.
func nameIn(engine string) string {
	if engine == "zeek" {
		return `redef ServeFlow::sensor = "north"; in local.zeek`
	}
	return "serveflow.sensor in suricata.yaml, or SERVEFLOW_SENSOR in its environment"
}

// taps looks at who is connected.
func (e *examination) taps() {
	if len(e.status.Taps) == 0 {
		e.wrong("tap", "no IDS is connected", e.connectHint())
		return
	}
	now := e.Now()
	sensors := map[string]int{} // the process that has it
	for _, t := range e.status.Taps {
		name := fmt.Sprintf("%s %s, process %d", t.Engine, t.EngineVersion, t.PID)
		if !t.Welcomed {
			e.wrong("tap", fmt.Sprintf("process %d of user %d is connected and has not said HELLO", t.PID, t.UID),
				"stop it, if it is no tap; a tap of your own begins with HELLO ("+pages.At("docs/protocol.md")+")")
			continue
		}
		name += fmt.Sprintf(", sensor %q", t.Sensor)
		if known, ok := engineVersions[t.Engine]; ok && t.EngineVersion != "" &&
			!slices.ContainsFunc(known, func(v string) bool { return strings.HasPrefix(t.EngineVersion, v) }) {
			e.note("tap", name+": the tap is not made for this version", "use "+t.Engine+" "+strings.Join(known, "x or ")+"x")
		}
		if other, ok := sensors[t.Sensor]; ok && other != t.PID && t.Mode == "live" {
			e.wrong("tap", fmt.Sprintf("%s: process %d calls itself the same: their flows are mixed up", name, other),
				"give one of them another name: "+nameIn(t.Engine))
		}
		sensors[t.Sensor] = t.PID
		since := func(seconds float64) time.Duration {
			return now.Sub(time.UnixMicro(int64(seconds * 1e6))).Round(time.Second)
		}
		skew := time.Duration((t.PacketTime - t.LastMessage) * float64(time.Second)).Round(time.Second)
		switch {
		case t.Events == 0:
			e.wrong("tap", name+": connected, and has sent no packet",
				"look whether the IDS sees traffic: its interface, its capture filter; of TCP and UDP the first packets of new flows are sent")
		case t.Mode == "live" && since(t.LastMessage) > silentFor:
			e.wrong("tap", fmt.Sprintf("%s: silent for %v", name, since(t.LastMessage)),
				"look whether the IDS sees traffic: its interface, its capture filter, its own statistics")
		case t.Mode == "live" && t.PacketTime > 0 && (skew > maxSkew || skew < -maxSkew):
			e.wrong("clock", fmt.Sprintf("%s: its packets are dated %v from the sidecar's clock", name, skew),
				"set the clock (timedatectl set-ntp true), or that of the capture card; latencies are wrong until then")
		default:
			e.ok("tap", "%s, %s, %d events", name, t.Mode, t.Events)
		}
		if t.Dropped > 0 && t.Dropped*100 > t.Events {
			e.wrong("tap", fmt.Sprintf("%s: %d of its events were dropped: the sidecar did not read them in time", name, t.Dropped), moreProcessor())
		}
	}
}

const (
	silentFor = time.Minute     // a live tap sends something far more often, given traffic
	maxSkew   = 5 * time.Second // more than buffers explain
)

// connectHint is what to do about an IDS that is not connected.
func (e *examination) connectHint() string {
	page := pages.At("docs/install.md#the-tap")
	if len(e.engines) == 0 {
		return "start Zeek or Suricata with its tap (" + page + "); none of them runs here"
	}
	engine := e.engines[0].name
	hint := fmt.Sprintf("%s runs: load its tap (%s), and look in its log for %s", engine, page, e.Config.Listen.Socket)
	if engine == "zeek" {
		hint += "; the tap connects when Zeek sees the first packet of its interface"
	}
	return hint
}

// eve looks whether Suricata's records come.
func (e *examination) eve() {
	n := e.status.EVEConnections
	if n == nil {
		return
	}
	if *n == 0 {
		e.wrong("EVE", "Suricata is not connected to "+e.Config.EVE.Listen, "add this to outputs: in suricata.yaml and restart it\n"+eveLog(e.Config.EVE.Listen))
	} else {
		e.ok("EVE", "%d connections on %s", *n, e.Config.EVE.Listen)
	}
	sensors := map[string]bool{}
	for _, t := range e.status.Taps {
		if t.Engine == "suricata" {
			sensors[t.Sensor] = true
		}
	}
	if len(sensors) > 0 && !sensors[e.Config.EVE.Sensor] {
		var names []string
		for name := range sensors {
			names = append(names, name)
		}
		slices.Sort(names)
		e.wrong("EVE", fmt.Sprintf("eve.sensor is %q, and Suricata's tap calls itself %q: no record will get a label", e.Config.EVE.Sensor, names[0]),
			fmt.Sprintf("[eve]\nsensor = %q", names[0]))
	}
}

func eveLog(socket string) string {
	return "  - eve-log:\n      enabled: yes\n      filetype: unix_stream\n      filename: " + socket
}
