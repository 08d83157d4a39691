// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//
// Where Suricata keeps what the plugin reads. Debian and others package no headers
// of Suricata, so the places come from a table, by version, and are never trusted:
// they are checked at start through functions that Suricata exports, and against
// the first packets (Check.h).

#pragma once

#include <cstdint>
#include <cstring>

namespace serveflow {

// Offsets in bytes.
struct Layout {
    // The first version that is laid out so.
    unsigned major, minor, patch;
    struct {
        uint16_t sp, dp, proto, flags, flow, hash, ts, ip4, ip6, size, ext, data;
    } packet;
    struct {
        uint16_t sp, dp, proto, hash, lastts, flags, startts, to_server, to_client, alproto;
    } flow;
};

// FindLayout is the layout of a version such as "7.0.10 RELEASE", or null. Where the
// plugin was built with Suricata's headers, it is theirs.
const Layout* FindLayout(const char* version);

// Read reads a value of Suricata's.
template <typename T>
inline T Read(const void* of, uint16_t offset) {
    T value;
    std::memcpy(&value, static_cast<const uint8_t*>(of) + offset, sizeof value);
    return value;
}

template <typename T>
inline void Write(void* of, uint16_t offset, T value) {
    std::memcpy(static_cast<uint8_t*>(of) + offset, &value, sizeof value);
}

// Packet flags.
constexpr uint32_t zero_copy = 1U << 16;
constexpr uint32_t pseudo = 1U << 9 | 1U << 27; // Suricata made the packet up

constexpr int flow_bit = 5; // the type of a variable's name

// A time of Suricata's: 44 bits of seconds below 20 of microseconds.
inline int64_t Micros(uint64_t t) { return static_cast<int64_t>((t & 0xfffffffffff) * 1000000 + (t >> 44)); }

// FlowID is the flow_id of EVE.
inline uint64_t FlowID(const Layout& l, const void* flow) {
    auto start = Read<uint64_t>(flow, l.flow.startts);
    auto hash = Read<uint32_t>(flow, l.flow.hash);
    return ((start & 0xffff) << 48 | (start >> 44 & 0xffff) << 32 | hash) & 0x7ffffffffffff;
}

// FlowPackets counts the packets of a flow so far.
inline uint32_t FlowPackets(const Layout& l, const void* flow) {
    return Read<uint32_t>(flow, l.flow.to_server) + Read<uint32_t>(flow, l.flow.to_client);
}

// Where a packet's bytes are.
struct Bytes {
    const uint8_t* begin;
    uint32_t size;
};

inline Bytes PacketBytes(const Layout& l, const void* packet) {
    const auto* begin = Read<const uint8_t*>(packet, l.packet.ext);
    if ( ! begin )
        begin = static_cast<const uint8_t*>(packet) + l.packet.data;
    return {begin, Read<uint32_t>(packet, l.packet.size)};
}

// PacketIP is the IP header of the packet, with how many bytes there are from it on;
// null if it is not within the packet's bytes.
inline const uint8_t* PacketIP(const Layout& l, const void* packet, uint32_t& size) {
    auto bytes = PacketBytes(l, packet);
    const auto* ip = Read<const uint8_t*>(packet, l.packet.ip4);
    if ( ! ip )
        ip = Read<const uint8_t*>(packet, l.packet.ip6);
    auto at = reinterpret_cast<uintptr_t>(ip) - reinterpret_cast<uintptr_t>(bytes.begin);
    if ( ! ip || at >= bytes.size )
        return nullptr;
    size = bytes.size - static_cast<uint32_t>(at);
    return size < 20 ? nullptr : ip;
}

} // namespace serveflow
