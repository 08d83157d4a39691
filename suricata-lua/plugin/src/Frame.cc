// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only

#include "Frame.h"

#include <netinet/in.h>

namespace serveflow {

namespace {

bool IsError(uint8_t protocol, uint8_t type) {
    if ( protocol == IPPROTO_ICMP )
        return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
    return protocol == IPPROTO_ICMPV6 && type >= 1 && type <= 4;
}

// Extensions passes over the extension headers of IPv6, as far as they are here.
void Extensions(const uint8_t* ip, uint32_t n, Frame& f) {
    bool later = false;
    while ( ! later ) {
        bool walks = f.protocol == IPPROTO_HOPOPTS || f.protocol == IPPROTO_ROUTING || f.protocol == IPPROTO_DSTOPTS;
        if ( ! walks && f.protocol != IPPROTO_FRAGMENT && f.protocol != IPPROTO_AH )
            return;
        if ( f.size + 4 > n )
            return;
        uint32_t length = (uint32_t{ip[f.size + 1]} + 1) * 8;
        if ( f.protocol == IPPROTO_AH )
            length = (uint32_t{ip[f.size + 1]} + 2) * 4;
        else if ( f.protocol == IPPROTO_FRAGMENT ) {
            length = 8;
            f.fragment = true;
            later = (ip[f.size + 2] << 8 | ip[f.size + 3]) > 7;
        }
        f.protocol = ip[f.size];
        f.size += length;
    }
    f.transport = UINT32_MAX;
}

} // namespace

bool Look(const uint8_t* ip, uint32_t n, Frame& f) {
    f = {};
    bool later = false;
    if ( ip[0] >> 4 == 4 ) {
        auto offset = ip[6] << 8 | ip[7];
        f.size = uint32_t{4} * (ip[0] & 15);
        f.protocol = ip[9];
        f.fragment = (offset & 0x3fff) != 0;
        later = (offset & 0x1fff) != 0;
        if ( f.size < 20 )
            return false;
    }
    else if ( n >= 40 && ip[0] >> 4 == 6 ) {
        f.size = 40;
        f.protocol = ip[6];
        Extensions(ip, n, f);
        later = f.transport == UINT32_MAX;
        f.transport = 0;
    }
    else
        return false;
    if ( later )
        return true;
    if ( f.size < n )
        f.transport = f.size;
    if ( f.protocol == IPPROTO_TCP ) {
        f.size += f.size + 12 < n ? uint32_t{4} * (ip[f.size + 12] >> 4) : 20;
        return true;
    }
    f.icmp_error = f.size < n && IsError(f.protocol, ip[f.size]);
    if ( f.protocol == IPPROTO_UDP || f.protocol == IPPROTO_ICMP || f.protocol == IPPROTO_ICMPV6 )
        f.size += 8;
    else if ( f.protocol == IPPROTO_SCTP )
        f.size += 12;
    return true;
}

} // namespace serveflow
