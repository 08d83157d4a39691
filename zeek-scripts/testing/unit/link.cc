// Sends flows over a Link, for the Go tests in test/zeek, which are the sidecar.
//
//     link SOCKET MODE FLOWS PACKETS PAUSE_US SYNC_EVERY
//
// MODE is capture or live. Each flow has so many packets and an END, with so many
// microseconds after each flow; every so many flows a capture waits for its
// labels. At the end it says what was counted, and the longest that a call took.

#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <string>

#include "Link.h"

using namespace serveflow;

namespace {

struct Owner : Link::Owner {
    uint64_t labels = 0;
    void OnLabel(const Label&) override { labels++; }
    void OnSocket(int) override {}
    void OnReport(const std::string& text) override { std::cerr << text << "\n"; }
};

} // namespace

int main(int argc, char** argv) {
    if ( argc != 7 )
        return 2;
    Settings s;
    s.socket = argv[1];
    s.hello.engine_version = "8.0.10";
    s.hello.sensor = "test";
    s.hello.pid = getpid();
    s.hello.capture = std::string(argv[2]) == "capture";
    s.patience = 5;
    auto flows = std::stoull(argv[3]);
    auto packets = std::stoull(argv[4]);
    auto pause = std::stoull(argv[5]);
    auto every = std::stoull(argv[6]);

    Owner owner;
    Link link(owner);
    link.Configure(s);
    uint64_t synced = 0;
    uint64_t refused = 0;
    std::chrono::duration<double> longest{0};
    int64_t ts = 1'700'000'000'000'000;
    std::string raw(60, '\x45');
    for ( uint64_t f = 1; f <= flows; f++ ) {
        std::string uid = "C" + std::to_string(f);
        auto before = std::chrono::steady_clock::now();
        for ( uint64_t n = 1; n <= packets; n++ ) {
            PacketInfo p;
            p.flow = uid;
            p.ts_us = ts += 10;
            p.dir = 0;
            p.orig_pkts = n;
            p.wire_len = 60;
            p.raw = raw;
            refused += link.Packet(p) ? 0 : 1;
        }
        refused += link.End(uid, ts += 10) ? 0 : 1;
        if ( ! s.hello.capture ) {
            link.Read();
            if ( link.Due() == 0 )
                link.Flush();
        }
        longest = std::max(longest, std::chrono::duration<double>(std::chrono::steady_clock::now() - before));
        if ( s.hello.capture && f % every == 0 )
            synced += link.Sync(false, s.patience) ? 1 : 0;
        if ( pause > 0 ) {
            usleep(static_cast<useconds_t>(pause));
            ts += static_cast<int64_t>(pause);
        }
    }
    if ( s.hello.capture )
        synced += link.Sync(true, s.patience) ? 1 : 0;
    else
        link.Flush();
    link.Close();
    const auto& c = link.Count();
    std::cout << "sent " << c.sent << " dropped " << c.dropped << " refused " << refused << " labels " << c.labels
              << " heard " << owner.labels << " connects " << c.connects << " synced " << synced << " longest_ms "
              << static_cast<int64_t>(longest.count() * 1000) << "\n";
}
