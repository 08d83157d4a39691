// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//
// Where Suricata keeps what the plugin reads, by Suricata's own headers: they are C
// that a C++ compiler does not take. It is compiled with SURICATA=DIR alone.

#include "suricata-common.h"
#include "decode.h"
#include "flow.h"
#include "util-var.h"

// Suricata 7 keeps the IP headers and the bytes of a packet elsewhere than 8.
#if SERVEFLOW_MAJOR == 7
#define IP4 ip4h
#define IP6 ip6h
#define DATA sizeof(Packet)
#else
#define IP4 l3.hdrs.ip4h
#define IP6 l3.hdrs.ip6h
#define DATA offsetof(Packet, pkt_data)
#endif

// The sizes and values that Layout.h reads by.
#define SIZE(type, member, bytes) _Static_assert(sizeof(((type *)0)->member) == (bytes), #type "." #member)
SIZE(Packet, sp, 2);
SIZE(Packet, dp, 2);
SIZE(Packet, proto, 1);
SIZE(Packet, flags, 4);
SIZE(Packet, flow, 8);
SIZE(Packet, flow_hash, 4);
SIZE(Packet, ts, 8);
SIZE(Packet, IP4, 8);
SIZE(Packet, IP6, 8);
SIZE(Packet, pktlen, 4);
SIZE(Packet, ext_pkt, 8);
SIZE(Flow, sp, 2);
SIZE(Flow, dp, 2);
SIZE(Flow, proto, 1);
SIZE(Flow, flow_hash, 4);
SIZE(Flow, lastts, 8);
SIZE(Flow, flags, 4);
SIZE(Flow, startts, 8);
SIZE(Flow, todstpktcnt, 4);
SIZE(Flow, tosrcpktcnt, 4);
SIZE(Flow, alproto, 2);
_Static_assert(PKT_ZERO_COPY == 1U << 16, "zero_copy");
_Static_assert((PKT_PSEUDO_STREAM_END | PKT_PSEUDO_DETECTLOG_FLUSH) == (1U << 9 | 1U << 27), "pseudo");
_Static_assert(VAR_TYPE_FLOW_BIT == 5, "flow_bit");

// serveflow_layout has the members of Layout, in their order.
const struct {
    unsigned version[3];
    uint16_t packet[12], flow[10];
} serveflow_layout = {
    {SERVEFLOW_MAJOR, SERVEFLOW_MINOR, SERVEFLOW_PATCH},
    {offsetof(Packet, sp), offsetof(Packet, dp), offsetof(Packet, proto), offsetof(Packet, flags),
     offsetof(Packet, flow), offsetof(Packet, flow_hash), offsetof(Packet, ts), offsetof(Packet, IP4),
     offsetof(Packet, IP6), offsetof(Packet, pktlen), offsetof(Packet, ext_pkt), DATA},
    {offsetof(Flow, sp), offsetof(Flow, dp), offsetof(Flow, proto), offsetof(Flow, flow_hash),
     offsetof(Flow, lastts), offsetof(Flow, flags), offsetof(Flow, startts), offsetof(Flow, todstpktcnt),
     offsetof(Flow, tosrcpktcnt), offsetof(Flow, alproto)},
};
