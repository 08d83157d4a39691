package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"

	"serveflow/sidecar/replay"
)

const (
	fileHeader   = 24 // of pcap, as tcpdump writes it
	recordHeader = 16
	maxPacket    = 1 << 18

	flagFIN, flagRST = 1, 4 // of TCP
)

// pack compresses a capture and counts its flows and packets. With most above 0
// it leaves out packets of a flow past that many, but for those that end it.
func pack(from, to string, most int) (flows, packets int, err error) {
	in, err := os.Open(from)
	if err != nil {
		return 0, 0, err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	level := zstd.SpeedDefault
	if most > 0 {
		level = zstd.SpeedBestCompression
	}
	z, err := zstd.NewWriter(out, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, z.Close()) }()
	keep, flows, err := choose(from, most)
	if err != nil {
		return 0, 0, err
	}
	header := make([]byte, fileHeader)
	if _, err := io.ReadFull(in, header); err != nil {
		return 0, 0, fmt.Errorf("capture: %w", err)
	}
	if _, err := z.Write(header); err != nil {
		return 0, 0, err
	}
	record := make([]byte, recordHeader+maxPacket)
	for i := 0; ; i++ {
		_, err := io.ReadFull(in, record[:recordHeader])
		if err == io.EOF {
			return flows, packets, nil
		}
		if err != nil {
			return 0, 0, fmt.Errorf("capture: %w", err)
		}
		n := int(binary.NativeEndian.Uint32(record[8:]))
		if n > maxPacket {
			return 0, 0, fmt.Errorf("capture: a packet of %d bytes", n)
		}
		if _, err := io.ReadFull(in, record[recordHeader:recordHeader+n]); err != nil {
			return 0, 0, fmt.Errorf("capture: %w", err)
		}
		if keep != nil && !keep[i] {
			continue
		}
		packets++
		if _, err := z.Write(record[:recordHeader+n]); err != nil {
			return 0, 0, err
		}
	}
}

// counted counts the packets that Flows has read.
type counted struct {
	*replay.Source
	read int
}

func (c *counted) Next(r *replay.Record) error {
	err := c.Source.Next(r)
	if err == nil {
		c.read++
	}
	return err
}

// choose counts the flows of a capture and, with most above 0, tells for each
// packet whether it is kept.
func choose(path string, most int) (keep map[int]bool, flows int, err error) {
	source, err := replay.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer source.Close()
	if most > 0 {
		keep = map[int]bool{}
	}
	from := &counted{Source: source}
	all := replay.NewFlows(from, replay.Options{})
	var ev replay.Event
	for {
		switch err := all.Next(&ev); {
		case err == io.EOF:
			return keep, int(all.Counts().Flows), nil
		case err != nil:
			return nil, 0, err
		}
		if most > 0 && ev.Kind == replay.PacketEvent {
			ends := ev.Headers.TCPFlags&(flagFIN|flagRST) != 0 // 0 where it is not TCP
			keep[from.read-1] = ends || ev.OrigPkts+ev.RespPkts <= uint64(most)
		}
	}
}
