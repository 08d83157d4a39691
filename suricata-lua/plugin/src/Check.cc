// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only

#include "Check.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "Frame.h"

namespace serveflow {

namespace {

constexpr size_t flow_size = 256; // of what is read of a flow,
constexpr uint32_t looked = 1024; // and of a packet

// Larger than Suricata's own, with room for bytes after a packet.
constexpr size_t made_up = 1 << 16;

std::unique_ptr<uint8_t[]> MadeUp() { return std::make_unique<uint8_t[]>(made_up); }

// What PacketSetData and PacketCopyData write.
const char* PacketContradiction(const Engine& engine, const Layout& l) {
    static const uint8_t some[] = {0x5a, 0xa5, 0x3c, 0xc3};
    auto packet = MadeUp();
    void* p = packet.get();
    if ( engine.packet_set_data(p, some, sizeof some) != 0 || Read<uint32_t>(p, l.packet.size) != sizeof some )
        return "the packet's length";
    if ( Read<const uint8_t*>(p, l.packet.ext) != some )
        return "the packet's bytes elsewhere";
    if ( Read<uint32_t>(p, l.packet.flags) != zero_copy )
        return "the packet's flags";
    packet = MadeUp();
    p = packet.get();
    // Suricata sets it later.
    auto before = *engine.default_packet_size;
    *engine.default_packet_size = sizeof some;
    int copied = engine.packet_copy_data(p, some, sizeof some);
    *engine.default_packet_size = before;
    if ( copied != 0 || Read<uint32_t>(p, l.packet.size) != sizeof some ||
         std::memcmp(packet.get() + l.packet.data, some, sizeof some) != 0 )
        return "the packet's bytes";
    return nullptr;
}

// What FlowHandlePacketUpdate reads of a packet and writes into its flow, and what is
// read out of a flow by Suricata's getters. A flow with packets in both directions
// would have it look up timeouts, which are not set up yet.
const char* FlowContradiction(const Engine& engine, const Layout& l, bool to_server) {
    constexpr uint16_t client = 0x3039;
    constexpr uint16_t server = 0x1f90;
    constexpr uint64_t time = 0x12345 | uint64_t{0x6789a} << 44;
    auto packet = MadeUp();
    auto flow = MadeUp();
    auto tv = MadeUp();
    auto dtv = MadeUp();
    void* p = packet.get();
    void* f = flow.get();
    Write<uint16_t>(f, l.flow.sp, client);
    Write<uint16_t>(f, l.flow.dp, server);
    if ( engine.flow_source_port(f) != client || engine.flow_destination_port(f) != server )
        return "the flow's ports";
    Write<uint8_t>(f, l.flow.proto, IPPROTO_UDP);
    Write<uint8_t>(p, l.packet.proto, IPPROTO_UDP);
    Write<uint16_t>(p, l.packet.sp, to_server ? client : server);
    Write<uint16_t>(p, l.packet.dp, to_server ? server : client);
    Write<uint64_t>(p, l.packet.ts, time);
    engine.flow_handle_packet(f, p, tv.get(), dtv.get());
    uint64_t seconds = 0;
    uint64_t micros = 0;
    engine.flow_last_time(f, &seconds, &micros);
    if ( Read<uint64_t>(f, l.flow.lastts) != time || seconds != 0x12345 || micros != 0x6789a )
        return "the packet's time, or the flow's last";
    if ( Read<uint32_t>(f, l.flow.to_server) != (to_server ? 1 : 0) ||
         Read<uint32_t>(f, l.flow.to_client) != (to_server ? 0 : 1) )
        return "the flow's counters, or the packet's ports";
    if ( engine.flow_flags(f) != Read<uint32_t>(f, l.flow.flags) || engine.flow_flags(f) == 0 )
        return "the flow's flags";
    return nullptr;
}

// What AppLayerRequestProtocolChange copies: the flow's protocol, to where the one before
// and those of both sides are kept.
const char* ProtocolContradiction(const Engine& engine, const Layout& l) {
    constexpr uint16_t some = 0x5aa5;
    auto flow = MadeUp();
    void* f = flow.get();
    Write<uint16_t>(f, l.flow.alproto, some);
    engine.change_protocol(f, 0, 0);
    int copies = 0;
    for ( uint16_t at = 0; at < flow_size; at += sizeof some )
        copies += Read<uint16_t>(f, at) == some ? 1 : 0;
    return copies == 4 ? nullptr : "the flow's protocol of applications";
}

// Mapped says whether so many bytes can be read, without reading them: the kernel
// would, and says that it cannot.
bool Mapped(const void* at, size_t size) {
    if ( reinterpret_cast<uintptr_t>(at) < 4096 )
        return false;
    int ends[2];
    if ( pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0 )
        return false;
    bool mapped = write(ends[1], at, size) == static_cast<ssize_t>(size);
    close(ends[0]);
    close(ends[1]);
    return mapped;
}

} // namespace

std::string Contradiction(const Engine& engine, const Layout& layout) {
    const char* field = PacketContradiction(engine, layout);
    if ( ! field )
        field = FlowContradiction(engine, layout, true);
    if ( ! field )
        field = FlowContradiction(engine, layout, false);
    if ( ! field && engine.change_protocol )
        field = ProtocolContradiction(engine, layout);
    return field ? field : "";
}

bool Trial::Packet(const void* packet) {
    if ( State() == Failed )
        return false;
    const auto* flow = Read<const void*>(packet, layout.packet.flow);
    if ( ! flow )
        return false;
    const char* wrong = nullptr;
    if ( reinterpret_cast<uintptr_t>(flow) % alignof(void*) != 0 || ! Mapped(flow, flow_size) )
        wrong = "the packet's flow";
    else if ( (Read<uint32_t>(packet, layout.packet.flags) & pseudo) != 0 )
        return true; // says little
    else
        wrong = Contradicted(packet, flow);
    if ( wrong ) {
        Fail(wrong);
        return false;
    }
    auto proto = Read<uint8_t>(packet, layout.packet.proto);
    if ( (proto == IPPROTO_TCP || proto == IPPROTO_UDP) && passed.fetch_add(1) + 1 == enough ) {
        Verdict running = Running;
        verdict.compare_exchange_strong(running, Passed);
    }
    return true;
}

const char* Trial::Contradicted(const void* p, const void* f) const {
    const auto& l = layout;
    if ( Read<uint32_t>(p, l.packet.hash) != Read<uint32_t>(f, l.flow.hash) )
        return "the flow's hash";
    auto now = Micros(Read<uint64_t>(p, l.packet.ts));
    auto start = Micros(Read<uint64_t>(f, l.flow.startts));
    auto last = Micros(Read<uint64_t>(f, l.flow.lastts));
    auto packets = FlowPackets(l, f);
    if ( last < now || start > last || (packets == 1 && start != now) )
        return "the flow's times";
    if ( packets == 0 )
        return "the flow's counters";
    // Of the others, some tell about a flow of another protocol.
    auto proto = Read<uint8_t>(p, l.packet.proto);
    if ( proto != IPPROTO_TCP && proto != IPPROTO_UDP )
        return nullptr;
    if ( proto != Read<uint8_t>(f, l.flow.proto) )
        return "the flow's protocol";
    auto sp = Read<uint16_t>(p, l.packet.sp);
    auto dp = Read<uint16_t>(p, l.packet.dp);
    auto from = Read<uint16_t>(f, l.flow.sp);
    auto to = Read<uint16_t>(f, l.flow.dp);
    if ( ! (sp == from && dp == to) && ! (sp == to && dp == from) )
        return "the flow's ports";
    uint32_t size = 0;
    const uint8_t* ip = PacketIP(l, p, size);
    Frame frame;
    size = std::min(size, looked);
    if ( ! ip || ! Mapped(ip, size) || ! Look(ip, size, frame) )
        return "the packet's IP header";
    if ( frame.fragment || frame.transport == 0 || frame.transport + 4 > size )
        return nullptr;
    const uint8_t* ports = ip + frame.transport;
    if ( frame.protocol != proto || (ports[0] << 8 | ports[1]) != sp || (ports[2] << 8 | ports[3]) != dp )
        return "the packet's ports";
    return nullptr;
}

} // namespace serveflow
