package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"serveflow/sidecar/operate/pages"
	"serveflow/sidecar/operate/scrape"
)

func newClient(address string) *scrape.Client { return scrape.New(address) }

// counters looks at what the running sidecar has lost since its start.
func (e *examination) counters() {
	drops := e.metrics.By("serveflow_drops_total", "reason")
	lost := 0
	for _, reason := range []struct{ name, text, do string }{
		{"malformed", "connections were closed because they broke the protocol", "the log names the byte and the field; update the tap"},
		{"over_limit", "connections were refused", "the log says whose and why: listen.allow_uids, listen.max_connections"},
		{"log_full", "lines of the label log were lost", "the disk of labels.path is too slow or full"},
		{"reply_full", "labels were lost on the way back to taps", "a tap did not read: look at the load of its host"},
	} {
		if n := drops[reason.name]; n > 0 {
			e.wrong("losses", fmt.Sprintf("%.0f %s", n, reason.text), reason.do)
			lost++
		}
	}
	if n := e.metrics.Sum("serveflow_log_errors_total"); n > 0 {
		e.wrong("losses", fmt.Sprintf("writing %s failed %.0f times", e.Config.Labels.Path, n), "journalctl -u serveflow says why: a full disk, or permissions")
		lost++
	}
	if n := e.metrics.By("serveflow_eve_records_total", "result")["torn"]; n > 0 {
		e.wrong("losses", fmt.Sprintf("%.0f records of EVE came torn: Suricata's buffer for the socket was full", n), moreBuffer)
		lost++
	}
	if e.metrics.Sum("serveflow_load_level") == 5 {
		e.wrong("load", "flows do without the slow stages that they need", moreProcessor())
		lost++
	}
	if lost == 0 {
		e.ok("losses", "none")
	}
}

// maxPSI is the population stability index from which on traffic is unlike the
// calibration's, see docs/drift.md.
const maxPSI = 0.25

func (e *examination) drift() {
	far, worst := "", 0.0
	measured := 0
	e.metrics.Each("serveflow_drift_psi", func(labels map[string]string, psi float64) {
		measured++
		if of := labels["of"]; psi > worst && (of == "score" || of == "label" || of == "stage") {
			worst, far = psi, of
		}
	})
	switch {
	case measured == 0:
		e.note("drift", "not measured: too few flows so far, or the bundle has no reference", "wait for some thousand flows")
	case worst > maxPSI:
		e.wrong("drift", fmt.Sprintf("the %ss of the flows are far from those that the bundle was calibrated on (PSI %.2f)", far, worst),
			"this bundle may not be for this traffic: hold its labels against what you know, then take another or train one ("+pages.At("docs/drift.md")+")")
	default:
		e.ok("drift", "PSI %.2f at most, of scores, labels and stages", worst)
	}
}

// shadow looks at the bundle that decides beside the one that is served.
func (e *examination) shadow() {
	failed := slices.ContainsFunc(e.health, func(line string) bool { return strings.HasPrefix(line, "warning: shadow:") })
	flows := e.metrics.By("serveflow_shadow_flows_total", "result")
	both := flows["agrees"] + flows["differs"]
	switch {
	case e.Shadow == "" && e.status.Shadow == "":
	case e.Shadow != e.status.Shadow:
		e.wrong("shadow", fmt.Sprintf("%q decides beside the bundle that is served, and the configuration names %q", e.status.Shadow, e.Shadow),
			"systemctl reload serveflow; where there was no [shadow] before, systemctl restart serveflow")
	case failed:
		e.wrong("shadow", e.Shadow+" has failed and is given no more flows", "journalctl -u serveflow says why; set shadow.bundle to another one and systemctl reload serveflow")
	case both == 0:
		e.note("shadow", e.Shadow+" has decided no flow that the other bundle has decided, too", "wait for some thousand flows")
	default:
		e.ok("shadow", "%s agrees on %.1f %% of %.0f flows; %.0f events were left out under load",
			e.Shadow, 100*flows["agrees"]/both, both, e.metrics.Sum("serveflow_shadow_shed_events_total"))
	}
}

func moreProcessor() string {
	return "give the sidecar more processor time (" + pages.At("docs/operate.md#overload") + ")"
}

const moreBuffer = "sysctl -w net.core.wmem_default=4194304, in /etc/sysctl.d for good, and restart Suricata"

// enoughBuffer is net.core.wmem_default from which on nothing is said. The kernel's
// default, 208 KiB, holds some 167 records.
const enoughBuffer = 1 << 20

// enoughRoom is how much of a disk is left at least, in bytes.
const enoughRoom = 256 << 20

func (e *examination) host() {
	if e.Config.EVE.Listen != "" {
		text, err := os.ReadFile(filepath.Join(e.Proc, "sys/net/core/wmem_default"))
		n, bad := strconv.Atoi(strings.TrimSpace(string(text)))
		if err == nil && bad == nil && n < enoughBuffer {
			e.note("kernel", fmt.Sprintf("net.core.wmem_default is %d: Suricata holds so many bytes of records for the sidecar, and drops the rest of a burst", n), moreBuffer)
		} else if err == nil && bad == nil {
			e.ok("kernel", "net.core.wmem_default is %d", n)
		}
	}
	directory := filepath.Dir(e.Config.Labels.Path)
	var disk unix.Statfs_t
	if err := unix.Statfs(directory, &disk); err != nil {
		e.wrong("label log", fmt.Sprintf("%s: %v", directory, err), "create the directory, or set labels.path elsewhere")
	} else if room := disk.Bavail * uint64(disk.Bsize); room < enoughRoom {
		e.wrong("label log", fmt.Sprintf("%d MiB are left for %s", room>>20, directory), "make room, or lower labels.max_size and labels.keep")
	} else {
		e.ok("label log", "%s, %d MiB left", e.Config.Labels.Path, room>>20)
	}
}
