package main

import (
	"cmp"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
)

const (
	headers    = 40 // bytes of IPv4 and TCP
	maxPayload = 65535 - headers
	rawIP      = 101 // link type

	flagSYN, flagPSH, flagACK = 0x02, 0x08, 0x10
)

// capture is a pcap file, compressed.
type capture struct {
	file *os.File
	z    *zstd.Encoder
}

func createCapture(path string) (*capture, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	z, err := zstd.NewWriter(f, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	c := &capture{f, z}
	header := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4) // microseconds
	for _, v := range []uint32{2 | 4<<16, 0, 0, 1 << 18, rawIP} {
		header = binary.LittleEndian.AppendUint32(header, v)
	}
	_, err = z.Write(header)
	return c, err
}

// packet adds a packet at a time in µs since the epoch.
func (c *capture) packet(us int64, frame []byte, wireLen int) error {
	var b []byte
	for _, v := range []int64{us / 1e6, us % 1e6, int64(len(frame)), int64(wireLen)} {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	_, err := c.z.Write(append(b, frame...))
	return err
}

func (c *capture) close() error { return errors.Join(c.z.Close(), c.file.Close()) }

// writeSessions writes captures and returns their lines for a manifest.
func writeSessions(output, folder, split string, sessions []session) ([]row, error) {
	var rows []row
	for _, s := range sessions {
		file := filepath.Join(folder, strings.ReplaceAll(s.name, "/", "_")+".pcap.zst")
		c, err := createCapture(filepath.Join(output, file))
		if err != nil {
			return nil, err
		}
		for _, p := range s.packets() {
			if err = c.packet(p.us, p.frame, headers+p.payload); err != nil {
				break
			}
		}
		if err := errors.Join(err, c.close()); err != nil {
			return nil, err
		}
		rows = append(rows, row{file, split, s.app})
	}
	return rows, nil
}

type sized struct {
	us      int64 // since the epoch
	payload int
	frame   []byte
}

// packets are the packets of a session in the order of time.
func (s *session) packets() []sized {
	var all []sized
	for n, fl := range s.flows {
		us := int64(math.Round(fl.Start * 1e6))
		seq := [2]uint32{1, 1} // of client and server
		for k, size := range fl.Sizes {
			us += int64(math.Round(fl.Gaps[k] * 1e6))
			sender, payload := 0, size
			if size < 0 {
				sender, payload = 1, -size
			}
			all = append(all, sized{us, payload, frame(n, sender, payload, seq[sender], seq[1-sender], k == 0)})
			seq[sender] += uint32(payload)
		}
	}
	slices.SortStableFunc(all, func(a, b sized) int { return cmp.Compare(a.us, b.us) })
	return all
}

// frame is the headers of a packet of flow n of a session, from the client
// (sender 0) or the server.
func frame(n, sender, payload int, seq, ack uint32, first bool) []byte {
	client, server := []byte{10, byte(n >> 16), byte(n >> 8), byte(n)}, []byte{198, 18, 0, 1}
	clientPort, serverPort := uint16(40000), uint16(443)
	flags := byte(flagPSH | flagACK)
	if sender == 1 {
		client, server, clientPort, serverPort = server, client, serverPort, clientPort
		if first {
			flags |= flagSYN // an answer: who opened the flow is the other
		}
	}
	b := make([]byte, headers)
	b[0], b[8], b[9] = 0x45, 64, 6
	binary.BigEndian.PutUint16(b[2:], uint16(headers+payload))
	copy(b[12:], client)
	copy(b[16:], server)
	binary.BigEndian.PutUint16(b[10:], checksum(b[:20]))
	tcp := b[20:]
	binary.BigEndian.PutUint16(tcp, clientPort)
	binary.BigEndian.PutUint16(tcp[2:], serverPort)
	binary.BigEndian.PutUint32(tcp[4:], seq)
	binary.BigEndian.PutUint32(tcp[8:], ack)
	tcp[12], tcp[13] = 5<<4, flags
	binary.BigEndian.PutUint16(tcp[14:], 65535)
	return b
}

// checksum is the Internet checksum (RFC 1071).
func checksum(b []byte) uint16 {
	sum := uint32(0)
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
