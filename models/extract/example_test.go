package extract_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"serveflow/models/dataset"
	"serveflow/models/extract"
	"serveflow/sidecar/features/feature"
)

// A table of the features of the first ten packets of each flow.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	list, err := dataset.Read("../../test/captures/lab/manifest.csv", "label", []string{"calibration"})
	if err != nil {
		fmt.Println(err)
		return
	}
	stats, err := extract.Run(context.Background(), extract.Options{
		Captures: list,
		Spec:     feature.Spec{Packets: 10, Sections: []string{"ipv4", "tcp", "udp", "seq"}, Masks: feature.MaskAll},
		Output:   filepath.Join(dir, "flows.parquet"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(stats.Captures) == len(list), stats.Rows > 0, stats.Columns > 0)
	// Output: true true true
}
