// Package eve puts labels into Suricata's EVE log while it is written. Suricata
// connects to a Unix stream socket (filetype: unix_stream in its configuration);
// each record that it sends is written to a file, a FIFO or another socket, with
// an object "serveflow" before its last brace if the label of its flow is known.
//
//	sink, err := eve.New(options)        // takes decisions from now on: a shard.Log
//	…
//	err = sink.Listen(server)            // a *shard.Pool, to tell of flows' ends
//	…
//	err = sink.Stop()                    // reads what has come, while the shards run
//	err = sink.Close()                   // when the last decisions are made
//
// Decisions and records meet by flow_id and the one sensor that the socket
// belongs to. A record of type "flow" ends its flow: the shards are told, and
// decide on what there is. Decisions and records come by different ways, and
// so do the record and the tap's last events; therefore a flow record whose
// label is not there yet waits for it, and nothing else does:
//   - The shards are told at once, and again while it waits. They decide when
//     they have seen as many packets as the record counts, or as the cascade
//     wants.
//   - Shortly before its time is over they are told to decide on what there is.
//     Then it is written, with a label or without.
//   - A tap that reads a capture may be far behind, so that its flows' records
//     wait longer. When the sensor's last tap has hung up and what it sent is
//     dealt with, nothing more can come: no record waits any longer then.
//   - Past a bound on their number and their bytes, the record that has waited
//     longest is written without.
//
// What the package promises:
//   - Reading never stops, whatever becomes of the output: Suricata reading a
//     capture would stand still. What the output does not take is held up to a
//     bound, then dropped and counted.
//   - Records are written whole. Every byte that is not added stays as it was.
//     They are written in the order in which they came over a connection, but
//     for flow records that waited.
//   - A record that was cut, by a connection's end or by Suricata itself, is
//     dropped and counted. What follows it is read as if it had not been there.
//     Lines that do not begin as a record does are passed on as they are.
//   - A record is at most 16 MiB long; longer ones are dropped and counted.
//   - Labels are held for a bounded number of flows. They are forgotten some
//     seconds after the flow's record was written, or oldest first.
package eve
