package flows

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"serveflow/sidecar/replay"
)

// TestTimes compares the flows of a capture of packets that come about when a flow's
// time is over: what differs between Suricata 7, which counts whole seconds, and 8.
func TestTimes(t *testing.T) {
	if _, err := strconv.Atoi(os.Getenv("SERVEFLOW_FLOWS")); err != nil {
		t.Skip("runs engines: set SERVEFLOW_FLOWS, or use make flows")
	}
	type sent struct {
		at    int64 // µs
		port  uint16
		reply bool
	}
	var packets []sent
	port := uint16(2000)
	for _, begin := range []int64{0, 200_000, 500_000, 900_000} {
		for _, gap := range []int64{-999_999, -1, 0, 1, 100_000, 500_000, 799_999, 999_999, 1_000_001} {
			packets = append(packets, sent{begin, port, false}, sent{begin + 30_000_000 + gap, port, false},
				sent{begin, port + 1, false}, sent{begin, port + 1, true}, sent{begin + 300_000_000 + gap, port + 1, false})
			port += 2
		}
	}
	slices.SortStableFunc(packets, func(a, b sent) int { return int(a.at - b.at) })
	le := binary.LittleEndian
	file := le.AppendUint32(nil, 0xa1b2c3d4)
	file = le.AppendUint16(le.AppendUint16(file, 2), 4)
	for _, n := range []uint32{0, 0, 65535, 101} { // LINKTYPE_RAW
		file = le.AppendUint32(file, n)
	}
	for _, p := range packets {
		us := 1_700_000_000_000_000 + p.at
		frame := datagram(p.port, p.reply)
		for _, n := range []uint32{uint32(us / 1_000_000), uint32(us % 1_000_000), uint32(len(frame)), uint32(len(frame))} {
			file = le.AppendUint32(file, n)
		}
		file = append(file, frame...)
	}
	path := filepath.Join(t.TempDir(), "times.pcap")
	if err := os.WriteFile(path, file, 0o644); err != nil {
		t.Fatal(err)
	}
	for rules, command := range map[replay.Rules]string{replay.Suricata: "suricata", replay.Suricata8: suricata8} {
		t.Run(rules.String(), func(t *testing.T) {
			theirs, err := suricata(t.Context(), program(t, command), t.TempDir(), path)
			if err != nil {
				t.Fatal(err)
			}
			ours, odd := built(t, path, rules)
			if n := theirs.common(ours); n != theirs.sum() || n != ours.sum() || n <= 72 {
				t.Errorf("%s has %d flows, replay %d, the same are %d%s", command, theirs.sum(), ours.sum(), n, odd)
				for e, k := range theirs {
					if ours[e] != k {
						t.Logf("%v: %d and %d", e, k, ours[e])
					}
				}
			}
		})
	}
}

// datagram is an IPv4 packet of UDP between a client's port and a server.
func datagram(port uint16, reply bool) []byte {
	b := make([]byte, 48)
	b[0], b[3], b[8], b[9] = 0x45, byte(len(b)), 64, 17
	client, server := []byte{10, 0, 0, 1}, []byte{10, 0, 0, 2}
	from, to := port, uint16(9999)
	if reply {
		client, server, from, to = server, client, to, from
	}
	copy(b[12:], client)
	copy(b[16:], server)
	binary.BigEndian.PutUint16(b[20:], from)
	binary.BigEndian.PutUint16(b[22:], to)
	binary.BigEndian.PutUint16(b[24:], uint16(len(b)-20))
	return b
}
