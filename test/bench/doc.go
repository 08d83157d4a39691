// Package bench measures what a sidecar can take.
//
// A generator, this process, replays captures over the Unix socket to a sidecar
// in a process of its own. It reports what the sidecar did with its CPU time,
// how soon labels came, and whether every flow got exactly one.
//
// The captures are laid out in a circle: each begins once a period, at its own
// moment, and many periods overlap. First and later packets of flows come mixed
// as a network mixes them, at a constant rate, for as long as one likes. Every
// time round, flows have new ids; the packet times go on, so that gaps and time
// limits are those of the captures however fast they are played. Packets are
// encoded beforehand, so that the generator costs little beside the sidecar.
//
// Flat out, the generator sends what the socket takes. At a given rate it is an
// open loop: every packet has its moment, and a label's latency counts from the
// moment that its packet was due, so that a sidecar that falls behind cannot
// hide it ("coordinated omission").
//
// The tap says that it reads a capture, since packet time is not that of the
// wall clock: nothing may be shed or dropped, and what does not fit the socket
// waits.
package bench
