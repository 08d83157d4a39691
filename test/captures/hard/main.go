// Command hard writes the hand-made captures of the directory above: what real
// programs on a quiet link do not show, and parsers, flow tables and taps
// must bear all the same. The same files come out in every run.
//
//	go run ./test/captures/hard test/captures
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
)

// captures are the files by name.
var captures = map[string]func() []byte{
	"hard-fragments.pcap":    func() []byte { return pcap(fragments(), options{}) },
	"hard-snaplen.pcap":      func() []byte { return pcap(conversation(), options{snap: 68}) },
	"hard-short.pcap":        func() []byte { return pcap(conversation(), options{snap: 50}) },
	"hard-midstream.pcap":    func() []byte { return pcap(midstream(), options{}) },
	"hard-reused.pcap":       func() []byte { return pcap(reused(), options{}) },
	"hard-disorder.pcap":     func() []byte { return pcap(disorder(), options{}) },
	"hard-timeouts.pcap":     func() []byte { return pcap(timeouts(), options{}) },
	"hard-headers.pcap":      func() []byte { return pcap(headers(), options{}) },
	"hard-tunnels.pcap":      func() []byte { return pcap(tunnels(), options{}) },
	"hard-checksums.pcap":    func() []byte { return pcap(checksums(), options{}) },
	"hard-empty.pcap":        func() []byte { return pcap(empty(), options{}) },
	"hard-nanoseconds.pcap":  func() []byte { return pcap(conversation(), options{nanos: true, bigEndian: true}) },
	"hard-interfaces.pcapng": func() []byte { return pcapng(conversation()) },
	"hard-cut.pcap":          func() []byte { b := pcap(conversation(), options{}); return b[:len(b)-33] },
}

func write(dir string) error {
	names := make([]string, 0, len(captures))
	for name := range captures {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), captures[name](), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: hard DIRECTORY")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "hard:", err)
		os.Exit(1)
	}
}
