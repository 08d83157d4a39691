package suricata

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"serveflow/test/engine"
)

// costTraffic writes the three captures that the cost is measured with, the mix of so
// many packets.
func costTraffic(t *testing.T, dir string, packets int) (mix, short, long string) {
	t.Helper()
	mix, short, long = filepath.Join(dir, "mix.pcap"), filepath.Join(dir, "short.pcap"), filepath.Join(dir, "long.pcap")
	engine.Mix(t, mix, packets)
	// Every packet of the one is among the first ten of its flow, hardly one
	// of the other.
	exchanges(t, short, 40_000, 10)
	exchanges(t, long, 40, 10_000)
	return mix, short, long
}

// exchanges writes UDP flows in which both sides take turns, 100 flows at a time.
// A packet has 100 or 1,400 bytes.
func exchanges(t *testing.T, path string, flows, packets int) {
	t.Helper()
	w := engine.NewCapture(t, path)
	at := int64(0)
	const abreast = 40
	for base := 0; base < flows; base += abreast {
		for n := range packets {
			for f := base; f < min(base+abreast, flows); f++ {
				size := 58
				if n%2 == 1 {
					size = 1358
				}
				w.Add(at, exchange(t, f, n%2 == 1, size))
				at += 5
			}
		}
	}
	w.Close()
}

func exchange(t *testing.T, flow int, back bool, payload int) []byte {
	t.Helper()
	src, dst := []byte{10, 1, byte(flow >> 8), byte(flow)}, []byte{10, 2, byte(flow >> 8), byte(flow)}
	sport, dport := layers.UDPPort(40000+flow%20000), layers.UDPPort(20000+flow%1000)
	if back {
		src, dst, sport, dport = dst, src, dport, sport
	}
	ether := &layers.Ethernet{SrcMAC: []byte{2, 0, 0, 0, 0, 1}, DstMAC: []byte{2, 0, 0, 0, 0, 2}, EthernetType: layers.EthernetTypeIPv4}
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: src, DstIP: dst}
	udp := &layers.UDP{SrcPort: sport, DstPort: dport}
	buffer := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true},
		ether, ip, udp, gopacket.Payload(bytes.Repeat([]byte{0x55}, payload)))
	if err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}
