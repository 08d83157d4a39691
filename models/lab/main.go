// Lab records labelled traffic of real programs for training and testing.
//
// Each session is one capture of one program: a client and a server in network
// namespaces of their own, joined by a wire of this program that delays, jitters,
// loses and limits frames, recorded by tcpdump. The label is what was started,
// so it is exact, and the filter of the capture keeps everything else out. Ports
// are drawn for every session from pools that all labels share, addresses, the
// hosts' network settings and the wire from the session's seed: none of them
// tells the label.
//
// Wires and programs that are kept for the test sessions make these ask for
// generalisation. manifest.csv in the output directory lists the captures as
// serveflow extract and eval read them, by the columns file, label and split.
//
//	go run ./models/lab -output build/lab -sessions 12
//
// Needs root and, on Debian 12, what models/lab/install.sh installs. A session is
// the first process of PID, mount and network namespaces of its own and dies
// with the program that started it: however that ends, the kernel takes
// everything away.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) == 2 && os.Args[0] == sessionProcess {
		os.Exit(runSession(os.Args[1]))
	}
	var o options
	var labels string
	flag.StringVar(&o.output, "output", "build/lab", "directory for captures and manifest.csv; what it has already is kept")
	flag.IntVar(&o.sessions, "sessions", 6, "rounds: sessions of each label, several where it has many programs")
	flag.IntVar(&o.parallel, "parallel", 4*runtime.NumCPU(), "sessions at a time")
	flag.IntVar(&o.packets, "packets", 0, "packets to keep of each flow, 0 for all")
	flag.Uint64Var(&o.seed, "seed", 1, "what the choice of programs, wires, ports and sizes is drawn from")
	flag.StringVar(&labels, "labels", "", "labels to record, or single programs as label/program, separated by commas (default all)")
	flag.BoolVar(&o.verbose, "verbose", false, "print what the programs of each session say, not only of those that fail")
	limit := flag.Duration("limit", 0, "time after which no session is begun, 0 for none")
	list := flag.Bool("list", false, "print the labels and their programs, and record nothing")
	flag.Parse()
	if *list {
		printLabels()
		return
	}
	if labels != "" {
		o.labels = strings.Split(labels, ",")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *limit > 0 {
		o.end = time.Now().Add(*limit)
	}
	if err := record(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(1)
	}
}

func printLabels() {
	for _, l := range catalogue {
		for _, p := range l.programs {
			split := "any split"
			if p.only != "" {
				split = p.only + " only"
			}
			fmt.Printf("%-16s %-24s %s\n", l.name, p.name, split)
		}
	}
}
