// Package spool is a queue between those who must never wait and a receiver that
// may be slow, away, or back after an hour. Items are numbered, written to files as
// they come, and given to the receiver in their order, in chunks.
//
//	queue, err := spool.Open(spool.Options{Dir: dir, MaxBytes: 1 << 30, Memory: 16 << 20})
//	…
//	queue.Add(items, n)             // by anybody; copies, and never waits
//	…
//	for chunk := range queue.Chunks() { // by one receiver
//		… chunk.Items() …
//		queue.Done(chunk)           // in the order of the chunks
//	}
//	…
//	queue.Close()                   // what is not done is there after the next Open
//
// An item is given at least once. What was added is in a file some milliseconds
// later and then survives the end of the process, however it ends, but not that of
// the machine: nothing is synced. A process that is killed gives again, after
// the next start, the chunks that were not done.
//
// Memory and disk are bounded. A chunk that the disk does not take waits in memory
// alone; one that does not fit there either is dropped, and counted by reason. A
// chunk that is damaged on disk is passed over, and the missing numbers are counted.
// Segments are files of about 16 MiB; one is removed as soon as all of it is done,
// so that a receiver that keeps up costs hardly any writing to the disk.
package spool
