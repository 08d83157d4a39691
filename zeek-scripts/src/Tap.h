// What is attached to a connection: it sends the first packets of the flow, and
// its end. Zeek 8.1 has an interface made for that, but not for transports that it
// does not know; for these, and on 8.0, it is an analyzer.

#pragma once

#include <zeek/Conn.h>
#include <zeek/IPAddr.h>
#include <zeek/analyzer/Analyzer.h>
#include <zeek/packet_analysis/protocol/ip/SessionAdapter.h>
#include <zeek/zeek-version.h>

namespace serveflow {

class Flows;
struct Flow;

// Tap follows one connection. The flow's direction is that of its first packet
// for good, as in training: its sender is the originator, unless it is a TCP
// SYN-ACK. Zeek may guess otherwise and change its mind; what a model sees must
// not depend on that.
class Tap {
public:
    Tap(Flows& flows, zeek::Connection* conn) : flows(flows), conn(conn) {}
    Tap(const Tap&) = delete;
    Tap& operator=(const Tap&) = delete;

    // Done says that no further packet is wanted.
    bool Done() const { return done; }

    // Packet takes a packet of the flow, of which is captured what lies before
    // end. ts_us is its time.
    void Packet(const zeek::IP_Hdr& ip, const u_char* end, bool is_orig, int64_t ts_us);

    // Over ends the flow.
    void Over();

    // Stop is called when the label came.
    void Stop() { done = true; }

    zeek::Connection* Conn() const { return conn; }

private:
    void Begin(const zeek::IP_Hdr& ip, const u_char* end, bool is_orig);

    Flows& flows;
    zeek::Connection* conn;
    Flow* flow = nullptr;
    bool begun = false;
    bool done = false;
    bool reversed = false;  // Zeek's originator of then is the model's responder
    zeek::IPAddr orig_addr; // Zeek's originator when the flow began
    uint32_t orig_port = 0;
    uint64_t pkts[2] = {0, 0}; // by the model's direction
};

// Attach makes the tap of a connection whose analyzers have just been set up.
void Attach(Flows& flows, zeek::Connection* conn);

} // namespace serveflow
