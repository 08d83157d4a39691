// Package eve puts labels into Suricata's EVE log while it is written. Suricata
// connects to a Unix stream socket (filetype: unix_stream in its configuration);
// each record that it sends is written to a file, a FIFO or another socket, with
// an object "serveflow" before its last brace if the label of its flow is known.
//
//	sink, err := eve.New(options)        // takes decisions from now on: a shard.Log
//	…
//	err = sink.Listen(pool)              // a *shard.Pool, which takes flows' ends
//	…
//	err = sink.Stop()                    // reads what has come, while the shards run
//	err = sink.Close()                   // when the last decisions are made
//
// Decisions and records are joined by flow_id and the sensor of the socket. A record
// of type "flow" ends its flow: its end is reported to the shards, which decide on
// the packets there are. The record and the tap's last events use different sockets,
// so the label may come later than the record. Only flow records wait for a missing
// label:
//   - The end is reported to the shards at once, and again while the record waits.
//     They decide when they have seen as many packets as the record counts, or as
//     the cascade wants.
//   - Shortly before the time limit the shards have to decide on the packets there
//     are. Then the record is written, with a label or without.
//   - A tap that reads a capture may be far behind, so records of its flows wait
//     longer. They wait no longer once the sensor's last tap has disconnected and
//     its events are handled.
//   - Beyond a bound on their number and their bytes, the oldest record is written
//     without a label.
//
// What the package promises:
//   - Reading never stops, whatever the output does: a Suricata that reads a capture
//     would block. What the output does not take is buffered up to a bound, then
//     dropped and counted.
//   - Records are written whole, with every other byte unchanged, in the order of
//     their connection except for flow records that waited.
//   - A record that was cut, by a connection's end or by Suricata itself, is dropped
//     and counted. The next record is not affected. Lines that do not begin as a
//     record does are copied unchanged.
//   - A record is at most 16 MiB long; longer ones are dropped and counted, and so are
//     long ones for which there is no room.
//   - Labels are kept for a bounded number of flows, until some seconds after the
//     flow's record was written; beyond the bound the oldest is removed.
package eve
