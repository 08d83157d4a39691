package extract

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// captureFile writes a pcap file of raw IP packets.
type captureFile struct{ bytes.Buffer }

func newCaptureFile() *captureFile {
	c := &captureFile{}
	for _, v := range []uint32{0xa1b2c3d4, 2 | 4<<16, 0, 0, 65535, 101} {
		binary.Write(c, binary.LittleEndian, v)
	}
	return c
}

// udp adds a UDP packet between 10.0.0.1 and 10.0.0.2, at a time in µs.
func (c *captureFile) udp(us int64, fromFirst bool, sport, dport uint16, payload int) {
	packet := make([]byte, 28+payload)
	packet[0], packet[8], packet[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(packet[2:], uint16(len(packet)))
	packet[12], packet[15], packet[16], packet[19] = 10, 2, 10, 1
	if fromFirst {
		packet[15], packet[19] = 1, 2
	}
	binary.BigEndian.PutUint16(packet[10:], headerChecksum(packet[:20]))
	binary.BigEndian.PutUint16(packet[20:], sport)
	binary.BigEndian.PutUint16(packet[22:], dport)
	binary.BigEndian.PutUint16(packet[24:], uint16(8+payload))
	for _, v := range []int{int(us / 1e6), int(us % 1e6), len(packet), len(packet)} {
		binary.Write(c, binary.LittleEndian, uint32(v))
	}
	c.Write(packet)
}

func headerChecksum(b []byte) uint16 {
	sum := 0
	for i := 0; i < len(b); i += 2 {
		sum += int(b[i])<<8 | int(b[i+1])
	}
	return ^uint16(sum % 0xffff) // a sum of 0 does not occur
}

// exchange adds a request and its answer, and a packet more, as one flow.
func (c *captureFile) exchange(us int64, port uint16) {
	c.udp(us, true, port, 53, 30)
	c.udp(us+7, false, 53, port, 100)
	c.udp(us+1000, true, port, 53, 40)
}

// dataSet writes captures and a manifest and returns the manifest's path.
func dataSet(tb testing.TB, manifest string, captures map[string]*captureFile) string {
	tb.Helper()
	dir := tb.TempDir()
	for name, c := range captures {
		path := filepath.Join(dir, "pcap", name)
		os.MkdirAll(filepath.Dir(path), 0o755)
		if err := os.WriteFile(path, c.Bytes(), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	path := filepath.Join(dir, "manifest.csv")
	if err := os.WriteFile(path, []byte(manifest), 0o644); err != nil {
		tb.Fatal(err)
	}
	return path
}

// manyCaptures is a data set with more rows than a row group and more batches
// in each capture than any worker may hold.
func manyCaptures(tb testing.TB, captures, flows int) string {
	tb.Helper()
	var manifest strings.Builder
	manifest.WriteString("file,split,class\n")
	files := map[string]*captureFile{}
	for i := range captures {
		name := fmt.Sprintf("%02d.pcap", i)
		fmt.Fprintf(&manifest, "pcap/%s,train,c%d\n", name, i%3)
		c := newCaptureFile()
		for j := range flows {
			c.exchange(int64(i*1e6+j*10_000), uint16(1024+j))
		}
		files[name] = c
	}
	return dataSet(tb, manifest.String(), files)
}
