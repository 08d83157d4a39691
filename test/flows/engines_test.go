package flows

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// suricata8 runs the one that "make engines" has brought.
const suricata8 = "../../build/suricata8.sh"

// suricata runs Suricata with the suricata.yaml that 7 comes with, without rules
// and checksums, and returns the flows of TCP and UDP in its EVE log.
func suricata(ctx context.Context, command, dir, path string) (flows, error) {
	// Where it cannot read a capture it waits for more for ever.
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, command, "-c", "/etc/suricata/suricata.yaml", "-S", "/dev/null", "-k", "none",
		"-r", path, "-l", dir, "--runmode", "single")
	if out, err := c.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%v: %s", err, last(out))
	}
	return lines(filepath.Join(dir, "eve.json"), func(line []byte, found flows) error {
		var r struct {
			Type     string     `json:"event_type"`
			Proto    string     `json:"proto"`
			Src      netip.Addr `json:"src_ip"`
			Dst      netip.Addr `json:"dest_ip"`
			SrcPort  uint16     `json:"src_port"`
			DestPort uint16     `json:"dest_port"`
		}
		if !strings.Contains(string(line), `"event_type":"flow"`) {
			return nil
		}
		if err := json.Unmarshal(line, &r); err != nil {
			return err
		}
		if r.Proto == "TCP" || r.Proto == "UDP" {
			found[newEnds(strings.ToLower(r.Proto), netip.AddrPortFrom(r.Src, r.SrcPort), netip.AddrPortFrom(r.Dst, r.DestPort))]++
		}
		return nil
	})
}

// zeek runs Zeek with its default scripts, without checksums, and returns the
// connections of TCP and UDP in its conn.log.
func zeek(ctx context.Context, command, dir, path string) (flows, error) {
	c := exec.CommandContext(ctx, command, "-C", "-r", path, "LogAscii::use_json=T")
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%v: %s", err, last(out))
	}
	log := filepath.Join(dir, "conn.log")
	if _, err := os.Stat(log); err != nil {
		return flows{}, nil // no connection
	}
	return lines(log, func(line []byte, found flows) error {
		var r struct {
			Proto string     `json:"proto"`
			OrigH netip.Addr `json:"id.orig_h"`
			RespH netip.Addr `json:"id.resp_h"`
			OrigP uint16     `json:"id.orig_p"`
			RespP uint16     `json:"id.resp_p"`
		}
		if err := json.Unmarshal(line, &r); err != nil {
			return err
		}
		if r.Proto == "tcp" || r.Proto == "udp" {
			found[newEnds(r.Proto, netip.AddrPortFrom(r.OrigH, r.OrigP), netip.AddrPortFrom(r.RespH, r.RespP))]++
		}
		return nil
	})
}

// lines gives each line of a log to take.
func lines(path string, take func([]byte, flows) error) (flows, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	found := flows{}
	in := bufio.NewScanner(f)
	in.Buffer(nil, 64<<20)
	for in.Scan() {
		if err := take(in.Bytes(), found); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return found, in.Err()
}

// last is the last line of what a program says.
func last(out []byte) string {
	text := strings.TrimSpace(string(out))
	return text[strings.LastIndexByte(text, '\n')+1:]
}
