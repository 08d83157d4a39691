package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxSocket is the longest path of a socket, within the 107 bytes of an address.
const maxSocket = 96

// MinMemory is the least that limits.memory may be.
const MinMemory = 256 << 20

// maxSensor is the longest sensor name.
const maxSensor = 256

// Validate checks every value. It is for a configuration that was changed
// after Load or Parse, which check on their own. Each mistake is one
// *KeyError; all of them are joined.
func (c *Config) Validate() error {
	var errs []error
	for _, e := range c.mistakes() {
		errs = append(errs, e)
	}
	return errors.Join(errs...)
}

// mistakes returns one error for each value that is out of bounds.
func (c *Config) mistakes() []*KeyError {
	var ck checker
	ck.text("bundle", c.Bundle, c.Bundle != "" && printable(c.Bundle),
		"want the name of an embedded bundle, or the path of a directory or archive")
	for _, key := range c.TrustedKeys {
		ck.text("trusted_keys", key, isKey(key), "want public keys of minisign, which begin with RW and have 56 characters")
	}

	l := &c.Listen
	ck.text("listen.socket", l.Socket, isSocket(l.Socket), wantSocket)
	ck.access("listen", l.Mode, l.Owner, l.Group)
	ck.number("listen.max_connections", l.MaxConnections, 1, 65_536)
	ck.duration("listen.hello_timeout", l.HelloTimeout, 10*time.Millisecond, time.Hour)
	if l.IdleTimeout != 0 {
		ck.duration("listen.idle_timeout", l.IdleTimeout, time.Second, 24*time.Hour, `, or "0s" for never`)
	}

	f := &c.Flow
	ck.number("flow.shards", f.Shards, 0, 256)
	ck.number("flow.max_flows", f.MaxFlows, 1, 100_000_000)
	ck.duration("flow.idle_timeout", f.IdleTimeout, time.Millisecond, time.Hour)
	ck.duration("flow.retention", f.Retention, time.Millisecond, 24*time.Hour)
	ck.duration("flow.deadline", f.Deadline, time.Millisecond, 10*time.Second)
	if f.Retention < f.IdleTimeout {
		ck.fail("flow.retention", quoted(f.Retention), "want at least flow.idle_timeout, which is "+quoted(f.IdleTimeout))
	}

	if m := c.Limits.Memory; m != 0 && (m < MinMemory || m > 1<<50) {
		ck.fail("limits.memory", strconv.FormatInt(m, 10), `want "256MiB" to "1024TiB", or 0 for what the machine and the control group permit`)
	}

	ck.text("labels.path", c.Labels.Path, c.Labels.Path != "" && printable(c.Labels.Path), "want the path of a file")
	ck.rotation("labels", c.Labels.MaxSize, c.Labels.Keep)

	ck.text("shadow.bundle", c.Shadow.Bundle, printable(c.Shadow.Bundle), "want what bundle may be, or nothing")
	ck.text("shadow.path", c.Shadow.Path, c.Shadow.Path != "" && printable(c.Shadow.Path), "want the path of a file")
	ck.text("shadow.path", c.Shadow.Path, c.Shadow.Path != c.Labels.Path, "want another file than labels.path")
	ck.rotation("shadow", c.Shadow.MaxSize, c.Shadow.Keep)

	e := &c.EVE
	ck.text("eve.listen", e.Listen, e.Listen == "" || isSocket(e.Listen), wantSocket+", or nothing")
	ck.text("eve.listen", e.Listen, e.Listen == "" || e.Listen != l.Socket, "want another socket than listen.socket")
	ck.access("eve", e.Mode, e.Owner, e.Group)
	ck.text("eve.sensor", e.Sensor, e.Sensor != "" && len(e.Sensor) <= maxSensor && printable(e.Sensor),
		fmt.Sprintf("want the sensor that Suricata's tap names itself, of 1 to %d bytes", maxSensor))
	path, isOut := strings.CutPrefix(e.Output, "unix:")
	ck.text("eve.output", e.Output, path != "" && printable(path) && (!isOut || isSocket(path)),
		"want the path of a file or a FIFO, or unix: and the path of a socket")
	ck.text("eve.output", e.Output, path != c.Labels.Path && path != c.Shadow.Path && path != l.Socket && path != e.Listen,
		"want a path that is used for nothing else")
	ck.rotation("eve", e.MaxSize, e.Keep)
	if e.Wait != 0 {
		ck.duration("eve.wait", e.Wait, 10*time.Millisecond, time.Minute, `, or "0s" for not at all`)
	}
	ck.number("eve.max_waiting", e.MaxWaiting, 1, 1_000_000)

	ck.kafka(&c.Kafka)
	ck.listen("telemetry.listen", c.Telemetry)
	ck.word("log.level", c.Log.Level, "debug", "info", "warn", "error")
	ck.word("log.format", c.Log.Format, "auto", "console", "json")

	ck.text("onnx.library", c.ONNX.Library, printable(c.ONNX.Library), "want the path of libonnxruntime, or nothing")
	ck.number("onnx.queue", c.ONNX.Queue, 1, 1<<20)
	ck.number("onnx.batch", c.ONNX.Batch, 1, 256)
	if c.ONNX.Batch > c.ONNX.Queue {
		ck.fail("onnx.batch", strconv.Itoa(c.ONNX.Batch),
			fmt.Sprintf("want at most onnx.queue, which is %d", c.ONNX.Queue))
	}
	ck.servers("inference.endpoints", c.Inference.Endpoints)
	ck.certificates("inference", c.Inference.TLS, c.Inference.CA, "", "")
	return ck.errs
}

// isKey says whether a text has the form of minisign's public keys: in base64, the
// algorithm "Ed", 8 bytes of a number and 32 of a key.
func isKey(text string) bool {
	key, err := base64.StdEncoding.DecodeString(text)
	return err == nil && len(key) == 2+8+32 && string(key[:2]) == "Ed"
}

// isSocket reports whether a socket can have the path.
func isSocket(path string) bool {
	return path != "" && len(path) <= maxSocket && path[0] != '@' && printable(path)
}

var wantSocket = fmt.Sprintf("want a path of 1 to %d bytes in the file system", maxSocket)

// checker collects one error for each key: the first that is found.
type checker struct{ errs []*KeyError }

func (ck *checker) fail(key, value, want string) {
	if !slices.ContainsFunc(ck.errs, func(e *KeyError) bool { return e.Key == key }) {
		ck.errs = append(ck.errs, &KeyError{Key: key, Value: value, Want: want})
	}
}

func (ck *checker) text(key, value string, ok bool, want string) {
	if !ok {
		ck.fail(key, show(value), want)
	}
}

// access checks who may use a socket.
func (ck *checker) access(table string, mode fs.FileMode, owner, group string) {
	ck.text(table+".mode", fmt.Sprintf("%04o", mode), mode&0o600 == 0o600 && mode <= 0o777,
		"want permissions that let the owner read and write, at most 0777")
	ck.text(table+".owner", owner, printable(owner), "want a user name or number")
	ck.text(table+".group", group, printable(group), "want a group name or number")
}

// rotation checks when a file is rotated.
func (ck *checker) rotation(table string, size int64, keep int) {
	if size < 4<<10 || size > 1<<40 {
		ck.fail(table+".max_size", strconv.FormatInt(size, 10), `want "4KiB" to "1TiB"`)
	}
	ck.number(table+".keep", keep, 0, 1000)
}

func (ck *checker) number(key string, n, low, high int) {
	if n < low || n > high {
		ck.fail(key, strconv.Itoa(n), fmt.Sprintf("want %d to %d", low, high))
	}
}

func (ck *checker) duration(key string, d, low, high time.Duration, or ...string) {
	if d < low || d > high {
		ck.fail(key, quoted(d), fmt.Sprintf("want %s to %s", quoted(low), quoted(high))+strings.Join(or, ""))
	}
}

func (ck *checker) word(key, value string, words ...string) {
	ck.text(key, value, slices.Contains(words, value), "want one of: "+strings.Join(words, ", "))
}

// listen requires a loopback address: metrics reveal what a network does, and there
// is no authentication.
func (ck *checker) listen(key string, t Telemetry) {
	if t.Listen == "" {
		return
	}
	host, port, err := net.SplitHostPort(t.Listen)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil || !printable(t.Listen) {
		ck.fail(key, show(t.Listen), `want host:port, such as "127.0.0.1:9477", or "" for none`)
		return
	}
	addr, err := netip.ParseAddr(host)
	loopback := host == "localhost" || err == nil && addr.Unmap().IsLoopback()
	ck.text(key, t.Listen, loopback || t.AllowRemote,
		"want a loopback address: anyone who reaches the port can read it; telemetry.allow_remote = true permits it")
}

// printable reports whether a name or path has only printable characters, as it
// must to be shown in messages.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) })
}

// quoted writes a duration in the short form: "1h", not "1h0m0s".
func quoted(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return strconv.Quote(s)
}
