package enrich

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"serveflow/sidecar/output/decision"
	"serveflow/sidecar/tap/wire"
)

const benchFlows = 100_000

func benchLabels(b *testing.B) []byte {
	var log []byte
	for i := range benchFlows {
		r := decision.Record{
			Start: int64(i) * 1000, Flow: wire.UintID(uint64(i)), Tuple: tuple(6, "192.0.2.1", uint16(i), "198.51.100.7", 443),
			Label: "camera", Score: .96875, Margin: .9375, Stage: "first", Packets: 1, LatencyUS: 812, Model: "iot-device@1.0.0", Reason: "accepted",
		}
		log = r.Append(log)
	}
	return log
}

func BenchmarkLoad(b *testing.B) {
	log := benchLabels(b)
	b.SetBytes(int64(len(log)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Load(bytes.NewReader(log)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(benchFlows*float64(b.N)/b.Elapsed().Seconds(), "labels/s")
}

func BenchmarkEnrich(b *testing.B) {
	var eve, tsv bytes.Buffer
	tsv.WriteString("#separator \\x09\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tconn_state\n")
	for i := range benchFlows {
		const rest = "\t443\ttcp\tssl\tSF\n"
		fmt.Fprintf(&eve, `{"timestamp":"1970-01-01T00:00:05.000000+0000","flow_id":%d,"in_iface":"eth0","event_type":"flow","src_ip":"192.0.2.1","src_port":%d,"dest_ip":"198.51.100.7","dest_port":443,"proto":"TCP","app_proto":"tls","flow":{"pkts_toserver":6,"pkts_toclient":4,"bytes_toserver":600,"bytes_toclient":4000,"start":"1970-01-01T00:00:00.000000+0000","end":"1970-01-01T00:00:05.000000+0000","state":"established"}}`+"\n", i, i&0xffff)
		fmt.Fprintf(&tsv, "%d.%06d\tC%d\t192.0.2.1\t%d\t198.51.100.7"+rest, i/1000, i%1000*1000, i, i&0xffff)
	}
	labels, err := Load(bytes.NewReader(benchLabels(b)))
	if err != nil {
		b.Fatal(err)
	}
	for name, log := range map[string][]byte{"EVE_by_id": eve.Bytes(), "TSV_by_ends": tsv.Bytes()} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(log)))
			b.ReportAllocs()
			for b.Loop() {
				stats, err := labels.Enrich(bytes.NewReader(log), io.Discard)
				if err != nil || stats.ByID+stats.ByCommunityID < benchFlows/2 {
					b.Fatal(err, stats)
				}
			}
			b.ReportMetric(benchFlows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
