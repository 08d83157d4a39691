// Package wire reads and writes ServeFlow's protocol, version 1: the messages
// between a tap (the part inside the IDS) and the sidecar.
//
// A connection is a stream of msgpack arrays without framing of its own. The first
// element of an array is the message's type; the others are its fields in a fixed
// order. docs/protocol.md and the pages that it names are the specification, whose
// byte examples this package's tests read.
//
// A Decoder reads one end of a connection into a Message that is reused for each
// call, an Encoder writes the other:
//
//	d := wire.NewDecoder(conn)
//	var m wire.Message
//	for {
//		if err := d.Next(&m); err != nil {
//			return err // io.EOF: the peer closed between two messages
//		}
//		switch m.Kind { … }
//	}
//
// What the package promises:
//   - Nothing that a peer sends makes it panic, read without bound or allocate
//     without bound: a length is compared with its limit before its content is
//     read.
//   - Decoding PACKET, META, END, SYNC and STATS and encoding LABEL do not allocate
//     in steady state; nor does decoding LABELs that repeat the texts of the
//     previous one.
//   - What a Decoder returns has been checked: ranges, printable flow ids, text in
//     UTF-8 without control characters. The Encoder refuses what a Decoder would
//     refuse, and passes each message to its writer in one Write.
//   - Unknown trailing elements, unknown map keys and unknown message types are
//     skipped, so that the protocol can grow.
package wire
