package engine

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"sort"
	"testing"

	"github.com/gopacket/gopacket/layers"
)

// Mix writes a capture of at least so many packets: the data folder's mix, or else
// the captures of the repository, again and again with other addresses.
func Mix(t *testing.T, path string, packets int) {
	t.Helper()
	copies(t, path, realFrames(t), packets)
}

// frame is a packet of a capture, from its Ethernet header on.
type frame struct {
	at   int64 // microseconds
	data []byte
}

// realFrames are the packets of the data folder's mix, or else those of the
// repository's captures.
func realFrames(t *testing.T) (all []frame) {
	t.Helper()
	packed := filepath.Join(dataFolder(t), "traffic-mix/mix-iot.pcap.zst")
	if _, err := os.Stat(packed); err == nil {
		path := filepath.Join(t.TempDir(), "mix-iot.pcap")
		unpack(t, packed, path)
		return readFrames(t, path)
	}
	t.Log("no traffic-mix in the data folder (SERVEFLOW_DATA): copies of the repository's captures")
	for _, c := range Committed(t) {
		if !c.Hard {
			all = append(all, readFrames(t, c.Path)...)
		}
	}
	return all
}

// readFrames reads a little-endian capture of Ethernet in microseconds, as all
// of these are; its first packet is at 0.
func readFrames(t *testing.T, path string) (all []frame) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const header, record = 24, 16
	if len(data) < header || !bytes.HasPrefix(data, []byte{0xd4, 0xc3, 0xb2, 0xa1}) {
		t.Fatalf("%s: not a little-endian capture in microseconds", path)
	}
	if binary.LittleEndian.Uint32(data[20:]) != uint32(layers.LinkTypeEthernet) {
		return nil
	}
	first := int64(-1)
	for data = data[header:]; len(data) >= record; {
		at := int64(binary.LittleEndian.Uint32(data))*1_000_000 + int64(binary.LittleEndian.Uint32(data[4:]))
		if first < 0 {
			first = at
		}
		size := int(binary.LittleEndian.Uint32(data[8:]))
		if size > len(data)-record {
			t.Fatalf("%s: cut", path)
		}
		all = append(all, frame{at - first, data[record:][:size:size]})
		data = data[record+size:]
	}
	return all
}

// copies writes frames again and again, each time with other addresses, until
// there are so many packets. The copies begin 7 ms apart and run side by side.
func copies(t *testing.T, path string, frames []frame, packets int) {
	t.Helper()
	type place struct {
		at     int64
		copied int
		frame  int
	}
	var order []place
	for c := 0; len(order) < packets; c++ {
		for i := range frames {
			order = append(order, place{frames[i].at + int64(c)*7000, c, i})
		}
	}
	sort.SliceStable(order, func(i, j int) bool { return order[i].at < order[j].at })
	w := NewCapture(t, path)
	var data []byte
	for _, p := range order {
		data = append(data[:0], frames[p.frame].data...)
		moveAddresses(data, uint16(p.copied))
		w.Add(p.at, data)
	}
	w.Close()
}

// moveAddresses gives a frame's IP addresses another place in their networks.
// Checksums are not corrected: the engines do not check them.
func moveAddresses(data []byte, by uint16) {
	at := 12
	for len(data) >= at+4 && binary.BigEndian.Uint16(data[at:]) == 0x8100 {
		at += 4
	}
	if len(data) < at+2+40 {
		return
	}
	ip := data[at+2:]
	var addresses [2][]byte
	switch binary.BigEndian.Uint16(data[at:]) {
	case 0x0800:
		addresses = [2][]byte{ip[12:], ip[16:]}
	case 0x86dd:
		addresses = [2][]byte{ip[8:], ip[24:]}
	default:
		return
	}
	for _, a := range addresses {
		binary.BigEndian.PutUint16(a[1:], binary.BigEndian.Uint16(a[1:])^by)
	}
}

// CaptureFile is a capture being written.
type CaptureFile struct {
	t    *testing.T
	file *os.File
	buf  *bufio.Writer
}

// NewCapture begins a capture of Ethernet in microseconds.
func NewCapture(t *testing.T, path string) *CaptureFile {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	c := &CaptureFile{t, f, bufio.NewWriterSize(f, 1<<20)}
	header := []byte{0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	header = binary.LittleEndian.AppendUint32(header, 65535)
	c.buf.Write(binary.LittleEndian.AppendUint32(header, uint32(layers.LinkTypeEthernet)))
	return c
}

// Add writes a packet, so many microseconds after the first. Errors stay with
// the writer until Close.
func (c *CaptureFile) Add(at int64, data []byte) {
	at += 1_700_000_000_000_000
	var record [16]byte
	binary.LittleEndian.PutUint32(record[0:], uint32(at/1_000_000))
	binary.LittleEndian.PutUint32(record[4:], uint32(at%1_000_000))
	binary.LittleEndian.PutUint32(record[8:], uint32(len(data)))
	binary.LittleEndian.PutUint32(record[12:], uint32(len(data)))
	c.buf.Write(record[:])
	c.buf.Write(data)
}

// Close ends the capture.
func (c *CaptureFile) Close() {
	c.t.Helper()
	if err := c.buf.Flush(); err != nil {
		c.t.Fatal(err)
	}
	if err := c.file.Close(); err != nil {
		c.t.Fatal(err)
	}
}
