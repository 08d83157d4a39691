package groundtruth_test

import (
	"fmt"

	"serveflow/models/groundtruth"
	"serveflow/sidecar/replay"
)

// The label of the first flow of a capture, from Zeek's logs of the same traffic.
func ExampleOpen() {
	known, err := groundtruth.Open("testdata/labels.toml")
	if err != nil {
		fmt.Println(err)
		return
	}
	flows, err := replay.ReadTraces("../../test/captures/dns.pcap", replay.Options{IgnoreChecksums: true}, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	answer := known.Of("dns.pcap", flows[0].Tuple, flows[0].Start)
	fmt.Println(answer.Label, answer.By == groundtruth.ByService)
	// Output: lookup true
}
