// Messages of a tap (docs/protocol.md), packed by hand: a PACKET costs a few
// dozen instructions and one copy. Nothing here knows of Zeek: Suricata's plugin is
// built from it, too.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "Buffer.h"

namespace serveflow {

// What HELLO says of a tap.
struct Hello {
    std::string engine = "zeek";
    std::string engine_version;
    std::string sensor;
    std::string run; // names one run over a capture; may be empty
    int pid = 0;
    bool capture = false; // reads a capture, and may wait
    bool reply = true;    // wants LABELs
};

// RunName returns a name for a run over a capture that no other run has.
std::string RunName();

// A flow's name: a text, or a number where the text is empty.
struct FlowName {
    std::string_view text;
    uint64_t number = 0;

    FlowName() = default;
    FlowName(std::string_view text) : text(text) {}
    FlowName(const std::string& text) : text(text) {}
    FlowName(uint64_t number) : number(number) {}
};

// One packet of a flow, as PACKET says it.
struct PacketInfo {
    FlowName flow;
    int64_t ts_us = 0;
    uint8_t dir = 2; // 0 originator, 1 responder, 2 unknown
    uint64_t orig_pkts = 0;
    uint64_t resp_pkts = 0;
    uint32_t wire_len = 0;
    std::string_view raw; // from the flow's own IP header
};

// The most that the protocol lets a tap send of a packet.
constexpr size_t max_raw = 2048;
// The longest name of a flow.
constexpr size_t max_flow = 32;
// The most that PackPacket, PackEnd, PackSync and PackStats append.
constexpr size_t max_message = max_raw + max_flow + 64;

// Each appends one message to out. Text beyond 256 bytes, raw beyond max_raw and
// flows beyond max_flow are cut.
void PackHello(Buffer& out, const Hello& h);
void PackPacket(Buffer& out, const PacketInfo& p);
void PackEnd(Buffer& out, const FlowName& flow, int64_t ts_us);
void PackSync(Buffer& out, uint64_t token, bool final);
void PackStats(Buffer& out, int64_t ts_us, uint64_t sent, uint64_t dropped);

} // namespace serveflow
