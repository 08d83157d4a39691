// Package bench measures the capacity and latency of a sidecar.
//
// A generator, in this process, replays captures over the Unix socket to a sidecar in
// another process. It reports flows per CPU time and label latency, and checks that
// every flow gets exactly one label.
//
// The captures repeat in a loop: each begins once per period, at its own offset, and
// periods overlap. First and later packets of flows are thus mixed as in a network, at
// a constant rate, for any duration. In each period flows have new ids, and packet times
// continue, so that gaps and time limits are those of the captures at any speed.
// Packets are encoded in advance, so that the generator costs little CPU.
//
// At full speed, the generator sends as much as the socket accepts. At a given rate it
// is an open loop: a label's latency counts from the moment that its packet was due, so
// that a slow sidecar cannot hide latency ("coordinated omission"). Packets are then
// their own times apart, in as many flows at once as the rate needs, and of a flow that
// has its label no packet is sent, as taps do that read labels.
//
// Beside the latencies stands the floor of the machine: those of a program that answers
// the first packet of each flow and does nothing else, over the same socket, on the same
// processors and at the same rate.
//
// The tap announces itself as one that reads a capture: nothing is shed or dropped, and
// the generator waits for the socket.
package bench
