// Lab records labelled traffic of real programs for training and testing.
//
// A session records one program in one capture: a client and a server run in network
// namespaces of their own, and tcpdump records the frames between them. The two are
// connected by a simulated link, called a wire, that delays, jitters, drops and
// rate-limits frames. The label is that of the program that was started, so it is
// exact, and the capture filter keeps all other traffic out. Ports are drawn for every
// session from pools that all labels share; addresses, the hosts' network settings and
// the wire are drawn from the session's seed. So none of these tells the label.
//
// Some wires and programs occur in test sessions only, so that these measure how well
// a model generalises. manifest.csv in the output directory lists the captures for
// serveflow extract and eval, in the columns file, label and split.
//
//	go run ./models/lab -output build/lab -sessions 12
//
// The program needs root and, on Debian 12, the packages that models/lab/install.sh
// installs. A session is the first process of PID, mount and network namespaces of its
// own, and it dies with the program that started it. However the program ends, the
// kernel then kills the processes of the session and removes its namespaces.
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
