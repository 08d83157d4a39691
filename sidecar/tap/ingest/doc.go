// Package ingest is the sidecar's side of the socket: it listens, talks the
// wire protocol with many taps at once, and hands what they tell to the shards
// in batches.
//
// Each connection has a goroutine that reads and one that writes. The reader
// decodes into a batch for each shard and hands a batch over when it is full
// or when reading on would block; where a shard is behind, the reader waits,
// the socket fills, and the tap feels it: a live tap drops and counts, a
// capture waits. What the writer has not sent yet is bounded: a live tap that
// does not read loses labels, which are counted; a capture that does not read
// is not read from either. No tap can hold up a shard or another tap.
package ingest
