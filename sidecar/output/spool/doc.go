// Package spool is a queue on disk between goroutines that must never wait and a
// receiver that may be slow, or unreachable for hours. Items are numbered, written to
// files as they come, and given to the receiver in their order, in chunks.
//
//	queue, err := spool.Open(spool.Options{Dir: dir, MaxBytes: 1 << 30, Memory: 16 << 20})
//	…
//	queue.Add(items, n)             // by any goroutine; copies, and never waits
//	…
//	for chunk := range queue.Chunks() { // by one receiver
//		… chunk.Items() …
//		queue.Done(chunk)           // in the order of the chunks
//	}
//	…
//	queue.Close()                   // the next Open gives the chunks that are not done
//
// The receiver gets each item at least once. An item is in a file some milliseconds
// after Add. It then survives any end of the process, but not a crash of the
// machine: files are not synced. After a process was killed, the next one gives the
// chunks that were not done to the receiver again.
//
// Memory and disk are bounded. A chunk that cannot be written to disk is kept in memory
// only; if memory is full too, it is dropped and counted by reason. A chunk that is
// damaged on disk is skipped, and its items are counted.
// The files, called segments, have about 16 MiB. A segment is removed as soon as all
// its chunks are done: while the receiver keeps up, most of it is removed before the
// kernel has written it to disk.
package spool
