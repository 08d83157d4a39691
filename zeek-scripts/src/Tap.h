// The tap of a connection: it sends the first packets of the flow, and its end. From
// Zeek 8.1 on it is a TapAnalyzer; on 8.0, and for transports unknown to Zeek, it is an
// ordinary analyzer.

#pragma once

#include <zeek/Conn.h>
#include <zeek/IPAddr.h>
#include <zeek/analyzer/Analyzer.h>
#include <zeek/packet_analysis/protocol/ip/SessionAdapter.h>
#include <zeek/zeek-version.h>

namespace serveflow {

class Flows;
struct Flow;

// Tap follows one connection. The first packet fixes the flow's direction, as in
// training: its sender is the originator, unless the packet is a TCP SYN-ACK. Zeek may
// decide otherwise and may swap the ends later; the features must not depend on that.
class Tap {
public:
    Tap(Flows& flows, zeek::Connection* conn) : flows(flows), conn(conn) {}
    Tap(const Tap&) = delete;
    Tap& operator=(const Tap&) = delete;

    // Done reports that no further packet is wanted.
    bool Done() const { return done; }

    // Packet handles a packet of the flow. end is the end of its captured bytes, ts_us its
    // time.
    void Packet(const zeek::IP_Hdr& ip, const u_char* end, bool is_orig, int64_t ts_us);

    // End is called at the end of the connection.
    void End();

    // Stop is called when the label has arrived and no further packet is wanted.
    void Stop() { done = true; }

    zeek::Connection* Conn() const { return conn; }

private:
    void Begin(const zeek::IP_Hdr& ip, const u_char* end, bool is_orig);

    Flows& flows;
    zeek::Connection* conn;
    Flow* flow = nullptr;
    bool begun = false;
    bool done = false;
    bool reversed = false;  // Zeek's originator at the first packet is the flow's responder
    zeek::IPAddr orig_addr; // Zeek's originator when the flow began
    uint32_t orig_port = 0;
    uint64_t pkts[2] = {0, 0}; // by the flow's direction
};

// Attach taps a connection whose analyzers have just been set up.
void Attach(Flows& flows, zeek::Connection* conn);

} // namespace serveflow
