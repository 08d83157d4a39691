// Encodes the messages of a tap (docs/protocol.md) without a library: a PACKET costs a
// few dozen instructions and one copy. This file does not depend on Zeek: Suricata's
// plugin is built from it, too.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "Buffer.h"

namespace serveflow {

// The content of HELLO.
struct Hello {
    std::string engine = "zeek";
    std::string engine_version;
    std::string sensor;
    std::string run; // unique name of one run over a capture; may be empty
    int pid = 0;
    bool capture = false; // reads a capture: may wait for labels
    bool reply = true;    // wants LABELs
};

// RunName returns a unique name for a run over a capture.
std::string RunName();

// The id of a flow: a text, or a number where the text is empty.
struct FlowName {
    std::string_view text;
    uint64_t number = 0;

    FlowName() = default;
    FlowName(std::string_view text) : text(text) {}
    FlowName(const std::string& text) : text(text) {}
    FlowName(uint64_t number) : number(number) {}
};

// The content of PACKET: one packet of a flow.
struct PacketInfo {
    FlowName flow;
    int64_t ts_us = 0;
    uint8_t dir = 2; // 0 originator, 1 responder, 2 unknown
    uint64_t orig_pkts = 0;
    uint64_t resp_pkts = 0;
    uint32_t wire_len = 0;
    std::string_view raw; // from the flow's own IP header
};

// The maximum bytes of a packet in the protocol.
constexpr size_t max_raw = 2048;
// The maximum length of a flow id.
constexpr size_t max_flow = 32;
// The maximum bytes that PackPacket, PackEnd, PackSync and PackStats append.
constexpr size_t max_message = max_raw + max_flow + 64;

// Each function appends one message to out. Texts are truncated to 256 bytes, raw to
// max_raw, flow ids to max_flow.
void PackHello(Buffer& out, const Hello& h);
void PackPacket(Buffer& out, const PacketInfo& p);
void PackEnd(Buffer& out, const FlowName& flow, int64_t ts_us);
void PackSync(Buffer& out, uint64_t token, bool final);
void PackStats(Buffer& out, int64_t ts_us, uint64_t sent, uint64_t dropped);

} // namespace serveflow
