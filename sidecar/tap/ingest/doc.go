// Package ingest is the sidecar's side of the socket: it listens, speaks the wire
// protocol with many taps at once, and sends their events to the shards in batches.
//
// Each connection has a goroutine that reads and one that writes. The reader
// decodes into one batch per shard and sends a batch when it is full or when the
// next read would block. When a shard is busy, the reader blocks and the socket
// fills: a live tap then drops and counts, a capture waits. The queue of the writer
// is bounded: a live tap that does not read loses labels, which are counted; a
// capture that does not read is not read from. No tap can block a shard or another
// tap.
package ingest
