// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//
// How many bytes of a packet are headers, from its IP header on. Nothing here
// knows of Suricata.

#pragma once

#include <cstdint>

namespace serveflow {

// Headers of an IP packet.
struct Frame {
    uint32_t size = 0;       // bytes of headers, the transport's included; may be more than there are
    uint32_t transport = 0;  // where the transport's header begins; 0 if it is not here
    uint8_t protocol = 0;    // of the transport
    bool fragment = false;   // a later one, without the transport's header, or a first one
    bool icmp_error = false; // tells about another flow, which Suricata counts it to
};

// Look reads the headers of the n bytes at ip, which are at least 20, and says
// whether they are of an IP packet.
bool Look(const uint8_t* ip, uint32_t n, Frame& frame);

} // namespace serveflow
