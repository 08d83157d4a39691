package ingest

import (
	"time"

	"serveflow/sidecar/decide/flow"
	"serveflow/sidecar/tap/wire"
)

// Taps says how many taps of a sensor are connected, and whether one of them
// reads a capture. One that has hung up counts until the shards have dealt with
// all that it sent and its flows' decisions are made or wait for nothing but
// time.
func (s *Server) Taps(sensor string) (n int, capture bool) { return s.sensors.taps(sensor) }

// Closed tells the shards of flows of a sensor whose end a log of the IDS has
// told: events of kind flow.Closed. It waits for shards that are behind, which
// must be running.
func (s *Server) Closed(sensor string, events []flow.Event) {
	for _, run := range s.sensors.runs(sensor) {
		source := &flow.Source{Sensor: sensor, SensorID: run}
		batches := make([]*flow.Batch, len(s.options.Shards))
		hand := func(i int) {
			s.options.Shards[i] <- batches[i]
			batches[i] = nil
		}
		for _, e := range events {
			i := s.shardOf(e.ID, run)
			if batches[i] == nil {
				batches[i] = flow.NewBatch(source, time.Now())
				batches[i].Aside = true
			}
			*batches[i].Add() = e
			if batches[i].Full() {
				hand(i)
			}
		}
		for i, b := range batches {
			if b != nil {
				hand(i)
			}
		}
	}
}

// shardOf is the number of the shard that a flow belongs to.
func (s *Server) shardOf(id wire.FlowID, sensor uint32) int {
	// The upper half of the product spreads any hash evenly over any number.
	hash := (id.Hash() ^ uint64(sensor)*0x9e3779b97f4a7c15) >> 32
	return int(hash * uint64(len(s.options.Shards)) >> 32)
}
