// Package kafka streams decisions, and EVE records with their labels, into topics of
// Apache Kafka.
//
//	stream, err := kafka.Open(options) // takes decisions from now on: a shard.Log
//	…
//	stream.EVE(record)                 // a record with its label
//	…
//	stream.Close(ctx)                  // sends what waits, as long as ctx allows
//
// A decision is the line of the label log, a JSON object, with two members more:
//
//	{"event":{"id":"…"},"host":"sensor-1","ts":…,"sensor":"zeek-1",…}
//
// Its key is the Community ID of the flow, so that all that is known of a connection
// is in one partition, in order; where a flow has no Community ID it is the event's id.
// event.id is 32 hexadecimal digits made of host, sensor, flow id and start: the
// same however often a record is sent. An EVE record keeps its bytes and gets the
// same two members; its id is made of host, sensor and the record itself.
//
// What the package promises:
//   - Whoever decides does not wait: a record is copied and left to others.
//   - Every record is in a file of the queue (package spool) before it is sent, until
//     all replicas in sync have it (acks=all). It is sent at least once: after a
//     sidecar was killed, what was under way is sent again. The producer is
//     idempotent, so a broker that fails or stalls causes neither repeats nor
//     disorder.
//   - What a broker cannot take waits in the queue and follows in order when it can.
//     Past the queue's bounds, new records are dropped and counted.
//   - The time of a Kafka record is when it came into the queue; where a topic takes no
//     records of that age (message.timestamp.before.max.ms), when it is sent.
//   - A record that a broker will never take, for its size, is dropped and counted.
//     Any other refusal, such as wrong credentials or a missing topic, is tried
//     again until it is mended.
package kafka
