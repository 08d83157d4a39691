package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"serveflow/models/dataset"
	"serveflow/models/extract"
	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/replay"
)

// sizes are those of a flow, which begin as any other's with the same last one.
func sizes(last int) string { return fmt.Sprintf("517,-1448,-600,126,53,86,-51,38,-42,%d", last) }

func line(app, session string, t float64, sizes string) string {
	gaps := "0.0" + strings.Repeat(",0.0005", strings.Count(sizes, ","))
	return fmt.Sprintf(`{"app":%q,"ver":"1","session":%q,"t":%f,"n":99,"len":[%s],"dt":[%s],"dur":1.5}`+"\n", app, session, t, sizes, gaps)
}

func compressed(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, z.EncodeAll([]byte(text), nil), 0o644); err != nil {
		t.Fatal(err)
	}
}

// dataSet is a small data set as the one that is read.
func dataSet(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"D1-train":       line("chat", "D1/chat/1/1", 1000, sizes(1)) + line("news", "D1/news/1/1", 1000, sizes(2)),
		"D1-calibration": line("chat", "D1/chat/1/2", 2000, sizes(3)),
		// Of chat one flow is as in training, and the other as another app's.
		"D1-test": line("chat", "D1/chat/1/3", 3000.000001, sizes(1)) + line("chat", "D1/chat/1/3", 3000.0002, "-77,"+sizes(2)) +
			line("news", "D1/news/1/4", 4000, sizes(2)),
		"D2-test": line("news", "D2/news/2/5", 5000, sizes(9)+",1,-1"),
	} {
		compressed(t, filepath.Join(dir, name+".jsonl.zst"), text)
	}
	for _, month := range []string{"D1", "D2"} {
		labels := "client,client_port,server,server_port,proto,start,app\n10.20.0.1,5000,198.18.0.9,443,TCP,1.0,chat\n"
		if err := os.MkdirAll(filepath.Join(dir, "replay"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "replay", month+"-test-12svc.labels.csv"), []byte(labels), 0o644); err != nil {
			t.Fatal(err)
		}
		compressed(t, filepath.Join(dir, "replay", month+"-test-12svc.pcap.zst"), handshake())
	}
	return dir
}

// handshake is a capture of a flow whose first payload is the server's.
func handshake() string {
	var file []byte
	for _, v := range []uint32{0xa1b2c3d4, 2 | 4<<16, 0, 0, 65535, rawIP} {
		file = binary.LittleEndian.AppendUint32(file, v)
	}
	for k, p := range []struct {
		sender, payload int
		flags           byte
	}{{0, 0, flagSYN}, {1, 0, flagSYN | flagACK}, {0, 0, flagACK}, {1, 100, flagPSH | flagACK}, {0, 0, flagACK}, {0, 33, flagPSH | flagACK}} {
		b := append(frame(0, p.sender, p.payload, 1, 1, false), make([]byte, p.payload)...)
		ip, port := b[12:16], b[20:22]
		if p.sender == 1 {
			ip, port = b[16:20], b[22:24]
		}
		copy(ip, []byte{10, 20, 0, 1})
		binary.BigEndian.PutUint16(port, 5000)
		b[33] = p.flags
		for _, v := range []int{50, 1000 * k, len(b), len(b)} {
			file = binary.LittleEndian.AppendUint32(file, uint32(v))
		}
		file = append(file, b...)
	}
	return string(file)
}

// flows renders the flows of a manifest's test captures as a model without
// headers sees them.
func flows(t *testing.T, manifest string) (all []string) {
	t.Helper()
	list, err := dataset.Read(manifest, "app", []string{"test"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		_, err := extract.ReadFlows(context.Background(), c, replay.Options{IgnoreChecksums: true}, 30, true, func(fl *extract.Flow) error {
			text := fmt.Sprintf("%s %d %d:", c.Label, fl.Start, fl.Count)
			for k, p := range fl.Packets {
				size := p.Payload
				if p.Dir == packet.Responder {
					size = -size
				}
				text += fmt.Sprintf(" %d@%d", size, fl.Wait(k))
			}
			all = append(all, text)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func TestRun(t *testing.T) {
	output := t.TempDir()
	if err := run(dataSet(t), output); err != nil {
		t.Fatal(err)
	}
	const begin = "517@0 -1448@500 -600@1000 126@1500 53@2000 86@2500 -51@3000 38@3500 -42@4000"
	repeated := "chat 3000000001 10: " + begin + " 1@4500"
	serverFirst := "chat 3000000200 11: -77@0 517@500 -1448@1000 -600@1500 126@2000 53@2500 86@3000 -51@3500 38@4000 -42@4500 2@5000"
	news := "news 4000000000 10: " + begin + " 2@4500"
	later := "news 5000000000 12: " + begin + " 9@4500 1@5000 -1@5500"
	fromReplay := "chat 50003000 2: -100@0 33@2000"
	for _, c := range []struct {
		manifest string
		want     []string
	}{
		{"apps-D1", []string{repeated, serverFirst, news}},
		{"apps-D1-novel", []string{serverFirst}},
		{"services-D1", []string{repeated, serverFirst}},
		{"apps-D2", []string{later}},
		{"apps-D2-novel", []string{later}},
		{"replay-D1", []string{fromReplay}},
	} {
		if got := flows(t, filepath.Join(output, c.manifest+".csv")); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n%s\nwant\n%s", c.manifest, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
	// All train and calibrate on the same sessions.
	list, err := dataset.Read(filepath.Join(output, "apps-D2.csv"), "app", []string{"train", "calibration"})
	if err != nil || len(list) != 3 || list[2].File != "D1-calibration/D1_chat_1_2.pcap.zst" {
		t.Errorf("%v, %v", list, err)
	}
}

func TestParseRefuses(t *testing.T) {
	good := line("chat", "s", 1, "5,-6")
	for _, c := range []struct{ name, text, want string }{
		{"no JSON", good + "{", "line 2"},
		{"no sizes", line("chat", "s", 1, ""), "line 1"},
		{"fewer gaps", strings.Replace(good, "[5,", "[5,7,", 1), "3 sizes, 2 gaps"},
		{"a packet without payload", line("chat", "s", 1, "5,0"), "a packet of 0 bytes"},
		{"a packet longer than IP has", line("chat", "s", 1, "-65500"), "a packet of -65500 bytes"},
		{"a time that runs backwards", strings.Replace(good, "0.0005", "-1", 1), "a gap of -1 s"},
		{"a session of two apps", good + line("news", "s", 1, "5"), "line 2: session s is of chat, and here of news"},
	} {
		if _, err := parse(strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
