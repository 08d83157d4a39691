#include "Tap.h"

#include <netinet/in.h>

#include <algorithm>
#include <cmath>

#include <zeek/IP.h>
#include <zeek/RunState.h>
#include <zeek/iosource/Packet.h>
#include <zeek/packet_analysis/protocol/tcp/TCPSessionAdapter.h>

#include "Flows.h"

namespace serveflow {

namespace {

constexpr uint8_t tcp_syn = 0x02;
constexpr uint8_t tcp_ack = 0x10;

const u_char* HeaderStart(const zeek::IP_Hdr& ip) {
    if ( ip.IP4_Hdr() )
        return reinterpret_cast<const u_char*>(ip.IP4_Hdr());
    return reinterpret_cast<const u_char*>(ip.IP6_Hdr());
}

// HeaderBytes returns the length of all headers, the transport's included.
size_t HeaderBytes(const zeek::IP_Hdr& ip, const u_char* end) {
    size_t size = ip.HdrLen();
    switch ( ip.NextProto() ) {
        case IPPROTO_TCP: {
            const u_char* tcp = ip.Payload();
            return size + (end - tcp > 12 ? size_t{4} * (tcp[12] >> 4) : 20);
        }
        case IPPROTO_UDP:
        case IPPROTO_ICMP:
        case IPPROTO_ICMPV6: return size + 8;
        default: return size;
    }
}

} // namespace

void Tap::Begin(const zeek::IP_Hdr& ip, const u_char* end, bool is_orig) {
    begun = true;
    orig_addr = conn->OrigAddr();
    orig_port = conn->OrigPort();
    bool sender_opened = true;
    if ( ip.NextProto() == IPPROTO_TCP && end - ip.Payload() > 13 )
        sender_opened = (ip.Payload()[13] & (tcp_syn | tcp_ack)) != (tcp_syn | tcp_ack);
    reversed = is_orig != sender_opened;
}

void Tap::Packet(const zeek::IP_Hdr& ip, const u_char* end, bool is_orig, int64_t ts_us) {
    if ( ! begun )
        Begin(ip, end, is_orig);
    bool flipped = conn->OrigPort() != orig_port || conn->OrigAddr() != orig_addr;
    bool from_orig = is_orig != (flipped != reversed);
    pkts[from_orig ? 0 : 1]++;

    const Need& need = flows.Wanted();
    auto index = pkts[0] + pkts[1];
    if ( index >= need.packets )
        done = true;
    if ( index > need.packets )
        return;

    if ( ! flow )
        flow = &flows.Open(this);

    const u_char* from = HeaderStart(ip);
    size_t total = ip.TotalLen(); // 0 with segmentation offload
    auto captured = static_cast<size_t>(std::max<ptrdiff_t>(end - from, 0));
    size_t size = total > 0 ? std::min(captured, total) : captured;
    size = std::min({size, static_cast<size_t>(need.raw_bytes), max_raw,
                     HeaderBytes(ip, end) + static_cast<size_t>(need.payload_bytes)});

    PacketInfo p;
    p.flow = flow->uid;
    p.ts_us = ts_us;
    p.dir = from_orig ? 0 : 1;
    p.orig_pkts = pkts[0];
    p.resp_pkts = pkts[1];
    p.wire_len = static_cast<uint32_t>(total > 0 ? total : captured);
    p.raw = {reinterpret_cast<const char*>(from), size};
    if ( ! flows.Send(p) && index == 1 )
        done = true; // no model labels a flow without its first packet
}

void Tap::End() {
    done = true;
    if ( flow )
        flows.End(*flow);
    flow = nullptr;
}

namespace {

// AnalyzerTap is a tap as an ordinary analyzer.
class AnalyzerTap final : public zeek::analyzer::Analyzer {
public:
    AnalyzerTap(Flows& flows, zeek::Connection* conn) : Analyzer(flows.AnalyzerTag(), conn), tap(flows, conn) {}

    void DeliverPacket(int len, const u_char* data, bool is_orig, uint64_t, const zeek::IP_Hdr* ip, int) override {
        // data points to the bytes that follow the headers, in the same memory. The frame
        // is not available for a packet inside a tunnel.
        if ( ip )
            tap.Packet(*ip, data + std::max(len, 0), is_orig,
                       std::llround(zeek::run_state::processing_start_time * 1e6));
        if ( tap.Done() )
            SetSkip(true);
    }

    void Done() override {
        tap.End();
        Analyzer::Done();
    }

private:
    Tap tap;
};

} // namespace

#if ZEEK_VERSION_NUMBER >= 80100

namespace {

class SessionTap final : public zeek::packet_analysis::TapAnalyzer {
public:
    SessionTap(Flows& flows, zeek::Connection* conn) : tap(flows, conn) {}

    void TapPacket(const zeek::Packet& pkt, zeek::packet_analysis::PacketAction action,
                   zeek::packet_analysis::SkipReason reason) override {
        // Packets that Zeek does not count are ignored: those with bad checksums or broken
        // headers. Packets that a script asked Zeek to skip are counted.
        if ( tap.Done() || (action == zeek::packet_analysis::PacketAction::Skip &&
                            reason != zeek::packet_analysis::SkipReason::SkipProcessing) )
            return;
        const auto& ip = *pkt.ip_hdr;
        const u_char* end = ip.Reassembled() ? ip.Payload() + ip.PayloadLen() : pkt.data + pkt.cap_len;
        tap.Packet(ip, end, pkt.is_orig, int64_t{pkt.ts.tv_sec} * 1'000'000 + pkt.ts.tv_usec);
    }

    void Done() override { tap.End(); }

private:
    Tap tap;
};

} // namespace

void Attach(Flows& flows, zeek::Connection* conn) {
    auto* session = conn->GetSessionAdapter();
    // Zeek calls no TapAnalyzer for transports that it does not know.
    if ( conn->ConnTransport() == TRANSPORT_UNKNOWN )
        session->AddChildAnalyzer(new AnalyzerTap(flows, conn));
    else
        session->AddTapAnalyzer(std::make_unique<SessionTap>(flows, conn));
}

#else

void Attach(Flows& flows, zeek::Connection* conn) {
    auto* session = conn->GetSessionAdapter();
    auto* tap = new AnalyzerTap(flows, conn);
    if ( conn->ConnTransport() != TRANSPORT_TCP ) {
        session->AddChildAnalyzer(tap);
        return;
    }
    // In TCP only these children see packets without payload.
    static_cast<zeek::packet_analysis::TCP::TCPSessionAdapter*>(session)->AddChildPacketAnalyzer(tap);
    tap->Init();
}

#endif

} // namespace serveflow
