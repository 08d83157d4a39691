// Mobileapp turns the data set mobileapp-sizes into captures and manifests that
// serveflow extract, tune and eval read.
//
// The data set has no packets: of each flow it tells the signed sizes and the
// gaps of the first 30 packets that carry payload. Here each becomes a packet of
// headers alone, whose length on the wire is the real one. Everything else in the
// headers is made up and the same for all flows but for the client's address,
// which numbers the flows of a session: so the captures are for models on sizes,
// directions and times, which see nothing else (--events meta). There is no
// handshake, since its times would be made up, too.
//
//	go run ./models/mobileapp -data ../shared/data/mobileapp-sizes -output build/mobileapp
//
// Each session is a capture. A manifest is a set of labels and a set to test on:
// apps-D1.csv has all apps and the test sessions of the first month, services-D2.csv
// the apps that are services in the data set's folder replay, and the test sessions
// a month later. In those with -novel, flows are left out of the test sessions whose
// first sizes occur in the training sessions of their app. replay-D1.csv and
// replay-D2.csv have the captures of the folder replay, a service each, without the
// packets that carry nothing. All train and calibrate on sessions of the first month.
package main

import (
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

func main() {
	data := flag.String("data", "../shared/data/mobileapp-sizes", "the data set's folder")
	output := flag.String("output", "build/mobileapp", "folder for captures and manifests")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "mobileapp: %q: only flags are taken\n", flag.Arg(0))
		os.Exit(2)
	}
	if err := run(*data, *output); err != nil {
		fmt.Fprintln(os.Stderr, "mobileapp:", err)
		os.Exit(1)
	}
}

// row is a line of a manifest.
type row struct{ file, split, app string }

func run(data, output string) error {
	services, err := servicesOf(data)
	if err != nil {
		return err
	}
	known := repeats{}
	var common []row // what all manifests have
	for _, split := range []string{"train", "calibration"} {
		sessions, err := readSessions(filepath.Join(data, "D1-"+split+".jsonl.zst"))
		if err != nil {
			return err
		}
		if split == "train" {
			known.add(sessions)
		}
		rows, err := writeSessions(output, "D1-"+split, split, sessions)
		if err != nil {
			return err
		}
		common = append(common, rows...)
	}
	for _, month := range []string{"D1", "D2"} {
		all, err := readSessions(filepath.Join(data, month+"-test.jsonl.zst"))
		if err != nil {
			return err
		}
		for suffix, sessions := range map[string][]session{"": all, "-novel": known.without(all)} {
			rows, err := writeSessions(output, month+"-test"+suffix, "test", sessions)
			if err != nil {
				return err
			}
			rows = slices.Concat(common, rows)
			ofServices := slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return !services[r.app] })
			if err := errors.Join(
				writeManifest(filepath.Join(output, "apps-"+month+suffix+".csv"), rows),
				writeManifest(filepath.Join(output, "services-"+month+suffix+".csv"), ofServices),
			); err != nil {
				return err
			}
		}
		rows, err := splitReplay(data, output, month)
		if err != nil {
			return err
		}
		if err := writeManifest(filepath.Join(output, "replay-"+month+".csv"), rows); err != nil {
			return err
		}
	}
	return nil
}

func writeManifest(path string, rows []row) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	records := [][]string{{"file", "split", "app"}}
	for _, r := range rows {
		records = append(records, []string{r.file, r.split, r.app})
	}
	return csv.NewWriter(f).WriteAll(records)
}
