// Package flow is the flow table of one shard: the flows, the first packets of
// each, and when each was last seen.
//
// A flow is named by its sensor and by the id that the IDS gave it. The table
// belongs to one goroutine and takes no locks. Records and packets lie in slabs,
// so that a million flows cost the garbage collector little. Memory is bounded: a
// full table evicts a decided flow, else one with a single packet, else the least
// recently seen.
//
// The table remembers the hashes of removed flows, about as many as it has room
// for flows, so that late packets of a removed flow open no new one.
//
// Each connection of a tap has a SourceClock. A live one runs on the wall clock,
// a capture on the time of its own packets, so that two captures read at once, or
// two threads of one, do not age each other's flows.
//
// Times are microseconds throughout.
package flow
