// Package flow is the flow table of one shard: the flows, the first packets of
// each, and when each was last seen.
//
// A flow is identified by its sensor and by the id that the IDS gave it. The table
// belongs to one goroutine and takes no locks. Records and packets are stored in
// slabs, so that a million flows are few objects to the garbage collector. Memory is
// bounded: a full table evicts a decided flow, first one that has ended, else one with a
// single packet, else the least recently seen.
//
// The table keeps the hashes of removed flows, about as many as it has room
// for flows, so that a late packet of a removed flow does not open a new flow.
//
// Each connection of a tap has a SourceClock, which times out its flows. The clock
// of a live tap is the wall clock; that of a capture is the time of its own packets,
// so that the packet times of one connection do not time out the flows of another,
// be it another capture or another thread that reads the same one.
//
// Times are microseconds throughout.
package flow
