// Package kafka streams decisions, and EVE records with their labels, into topics of
// Apache Kafka.
//
//	stream, err := kafka.Open(options) // takes decisions from now on: a shard.Log
//	…
//	stream.EVE(record)                 // a record with its label
//	…
//	stream.Close(ctx)                  // sends the waiting records, as long as ctx allows
//
// The value of a decision's record is its line of the label log, a JSON object, with
// two additional members:
//
//	{"event":{"id":"…"},"host":"sensor-1","ts":…,"sensor":"zeek-1",…}
//
// The key is the Community ID of the flow, so that all records of a connection are in
// one partition, in order; the key of a flow without Community ID is event.id.
// event.id is a hash, in 32 hexadecimal digits, of host, sensor, flow id and the flow's
// start, so it is the same each time that the record is sent. An EVE record keeps its
// bytes and gets the same two members; its id is a hash of host, sensor and the record.
//
// What the package promises:
//   - A shard does not wait: it only copies its records into the queue.
//   - Unless it cannot be written to disk, a record is in a file of the queue (package
//     spool) before it is sent, and until all in-sync replicas have it (acks=all). It is
//     sent at least once: after a sidecar was killed, the next one resends the records that
//     were not acknowledged. The producer is idempotent, so a broker that fails or
//     stalls causes neither repeats nor disorder.
//   - Records that a broker cannot accept wait in the queue and are sent in order
//     when it can. Past the queue's bounds, new records are dropped and counted.
//   - The timestamp of a Kafka record is the time when it came into the queue or, where
//     the topic accepts no records that old (message.timestamp.before.max.ms), the
//     time of sending.
//   - A record that is too large for a broker is dropped and counted. After any other
//     refusal, such as wrong credentials or a missing topic, the stream tries again
//     until the broker accepts.
package kafka
