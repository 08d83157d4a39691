package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"serveflow/sidecar/features/packet"
	"serveflow/sidecar/replay"
)

// readLabels reads the labels of a month's capture in the folder replay: an app
// for each client's address and port.
func readLabels(data, month string) (map[netip.AddrPort]string, error) {
	path := filepath.Join(data, "replay", month+"-test-12svc.labels.csv")
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(records) == 0 {
		return nil, fmt.Errorf("%s: the file is empty", path)
	}
	var at [3]int
	for i, name := range []string{"client", "client_port", "app"} {
		if at[i] = slices.Index(records[0], name); at[i] < 0 {
			return nil, fmt.Errorf("%s: no column %q", path, name)
		}
	}
	labels := map[netip.AddrPort]string{}
	for i, r := range records[1:] {
		addr, err := netip.ParseAddr(r[at[0]])
		port, err2 := strconv.ParseUint(r[at[1]], 10, 16)
		if err := errors.Join(err, err2); err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", path, i+2, err)
		}
		labels[netip.AddrPortFrom(addr, uint16(port))] = r[at[2]]
	}
	return labels, nil
}

// servicesOf are the apps that are services.
func servicesOf(data string) (map[string]bool, error) {
	labels, err := readLabels(data, "D1")
	services := map[string]bool{}
	for _, app := range labels {
		services[app] = true
	}
	return services, err
}

// splitReplay writes a capture for each service out of a month's capture in the
// folder replay, without the packets that carry no payload, and returns their
// lines for a manifest.
func splitReplay(data, output, month string) (rows []row, err error) {
	labels, err := readLabels(data, month)
	if err != nil {
		return nil, err
	}
	source, err := replay.Open(filepath.Join(data, "replay", month+"-test-12svc.pcap.zst"))
	if err != nil {
		return nil, err
	}
	defer source.Close()
	services := map[string]*capture{}
	defer func() {
		for _, c := range services {
			err = errors.Join(err, c.close())
		}
	}()
	file := func(app string) string { return filepath.Join("replay", month, app+".pcap.zst") }
	begun := map[uint64]bool{}
	flows := replay.NewFlows(source, replay.Options{IgnoreChecksums: true})
	var ev replay.Event
	for {
		switch err := flows.Next(&ev); {
		case err == io.EOF:
			for _, app := range slices.Sorted(maps.Keys(services)) {
				rows = append(rows, row{file(app), "test", app})
			}
			return rows, nil
		case err != nil:
			return nil, err
		case ev.Kind != replay.PacketEvent || ev.Headers.Payload <= 0:
			continue
		}
		client := netip.AddrPortFrom(ev.Tuple.SrcAddr(), ev.Tuple.SrcPort)
		app, ok := labels[client]
		if !ok {
			return nil, fmt.Errorf("capture of %s: no label for the flow of %v", month, client)
		}
		c := services[app]
		if c == nil {
			if c, err = createCapture(filepath.Join(output, file(app))); err != nil {
				return nil, err
			}
			services[app] = c
		}
		if !begun[ev.Flow] && ev.Dir == packet.Responder {
			ev.Frame[ev.Headers.TransOff+13] |= flagSYN // as in function frame
		}
		begun[ev.Flow] = true
		if err := c.packet(ev.Time, ev.Frame[:ev.Headers.TransOff+ev.Headers.TransLen], ev.WireLen); err != nil {
			return nil, err
		}
	}
}
