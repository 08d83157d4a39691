// Package flow keeps the flows of one shard: which there are, the headers of
// their first packets, and when each was last heard of.
//
// A flow is named by its sensor and by the id that the IDS gave it. The table
// belongs to one goroutine and takes no locks. Its records and packets lie in
// slabs without pointers, so that a million flows cost the garbage collector
// nothing, and its memory is bounded: a full table gives up the flow that can
// best be spared (a decided one, else one with a single packet, else the one
// unheard of for longest).
//
// Of a flow that is removed a trace remains, for as long as the table has room for
// it: what still comes of the flow opens no other.
//
// Time is kept in lanes. Each connection of a tap is a lane: a live one runs on
// the wall clock, a capture on the time of its own packets, so that two
// captures read at once, or two threads of one, do not age each other's flows.
//
// Times are microseconds throughout.
package flow
