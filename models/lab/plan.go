package main

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
)

// session says everything about a session that is drawn before it.
type session struct {
	File    string // of the capture, below the output directory
	Label   string
	Program string
	Split   string
	Seed    uint64 // what the program draws from
	Port    int    // of the server
	Client  endpoint
	Gateway gateway // of the client
	Server  endpoint
	Path    drawnPath
	AtServe bool // recorded at the server's end of the wire, not the client's
	Packets int  // to keep of each flow, 0 for all
	Verbose bool // prints what its programs say
}

// endpoint is one end of the wire.
type endpoint struct {
	Address  string // IPv4
	Settings settings
}

// ports are where services are found, of every protocol and label: a session
// has one of them or, one in three, another above 1024.
var ports = []int{
	22, 53, 80, 110, 123, 143, 443, 443, 465, 587, 853, 993, 995, 1194, 1883, 2222, 3128, 3389, 4500, 5060, 5222,
	5432, 5900, 6379, 6881, 8000, 8080, 8388, 8443, 8883, 9001, 51820,
}

// splits in the shares that they have of a label's sessions: of ten, six train.
var splits = []string{
	"train", "test", "train", "calibration", "train", "train", "test", "train", "calibration", "train",
}

// plan draws n sessions of a label. The first m of them are the same for any n.
func plan(l *label, seed uint64, n int) []session {
	name := fnv.New64a()
	name.Write([]byte(l.name))
	rng := rand.New(rand.NewPCG(seed, name.Sum64()))
	turn := map[string]int{}
	var all []session
	for i := range n {
		split := splits[i%len(splits)]
		p := l.next(split, turn[split])
		turn[split]++
		if p == nil {
			continue
		}
		wires := slices.DeleteFunc(slices.Clone(paths), func(w path) bool { return !suits(w.only, split) })
		wire := wires[rng.IntN(len(wires))]
		all = append(all, session{
			Label: l.name, Program: p.name, Split: split,
			Seed: rng.Uint64(), Port: drawPort(rng),
			Client:  endpoint{drawAddress(rng, "10", "192.168", "172.16"), drawSettings(rng)},
			Server:  endpoint{drawAddress(rng, "198.51", "203.0", "198.18"), drawSettings(rng)},
			Path:    wire.draw(rng),
			AtServe: rng.IntN(2) == 0,
			File:    fmt.Sprintf("pcap/%s-%04d-%s.pcap.zst", l.name, i, p.name),
		})
		all[len(all)-1].hide(l)
	}
	return all
}

// hide puts the client of one session in four behind a gateway, unless its label's
// servers must reach it. It is recorded where only the gateway is seen; sessions of
// IPv6, another fourth, need none.
func (s *session) hide(l *label) {
	if s.Seed%4 == 1 && !l.reached {
		s.Gateway = gateway(drawAddress(rand.New(rand.NewPCG(s.Seed, 3)), "198.51", "203.0", "100.64"))
		s.AtServe = true
	}
}

// suits tells whether what is kept for a split, or for none, is for the given one.
// Test sessions have wires that no other session has.
func suits(only, split string) bool {
	if split == "test" {
		return only == "test"
	}
	return only == "" || only == split
}

// next is the program of the label's session that is the i-th of a split. Every
// other session of calibration and test has a program that is kept for it, where
// there is one. nil if the label has none for the split.
func (l *label) next(split string, i int) *program {
	var kept, shared []*program
	for k := range l.programs {
		switch p := &l.programs[k]; p.only {
		case "":
			shared = append(shared, p)
		case split:
			kept = append(kept, p)
		}
	}
	if len(kept) > 0 && i%2 == 0 {
		return kept[i/2%len(kept)]
	}
	if len(kept) > 0 {
		i /= 2
	}
	if len(shared) == 0 { // of a choice of programs
		return nil
	}
	return shared[i%len(shared)]
}

func drawPort(rng *rand.Rand) int {
	if rng.IntN(3) == 0 {
		return 1024 + rng.IntN(31000)
	}
	return ports[rng.IntN(len(ports))]
}

// documentation has the third octets of the networks that RFC 5737 sets aside.
var documentation = map[string]string{"198.51": "100", "203.0": "113"}

// drawAddress draws an address below one of the prefixes, which are of networks
// that nobody has.
func drawAddress(rng *rand.Rand, prefixes ...string) string {
	prefix := prefixes[rng.IntN(len(prefixes))]
	address := prefix
	for strings.Count(address, ".") < 3 {
		address += fmt.Sprintf(".%d", 1+rng.IntN(254))
	}
	if third, ok := documentation[prefix]; ok {
		address = prefix + "." + third + address[strings.LastIndexByte(address, '.'):]
	}
	return address
}
