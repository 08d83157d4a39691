// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//
// Many threads send flows through a Sender, for the Go tests in test/suricata, which
// are the sidecar.
//
//     many SOCKET MODE THREADS FLOWS PACKETS
//
// MODE is capture or live. Each thread has so many flows of so many packets, every
// other one ended by Closing, and looks labels up meanwhile. At the end it says what
// was counted.

#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "Sender.h"

using namespace serveflow;

int main(int argc, char** argv) {
    if ( argc != 6 )
        return 2;
    Sender::Settings s;
    s.link.socket = argv[1];
    s.link.hello.engine = "suricata";
    s.link.hello.sensor = "test";
    s.link.hello.capture = std::string(argv[2]) == "capture";
    s.link.batch_bytes = 1 << 14;
    s.link.patience = 10;
    s.report = [](const std::string& text) { std::cerr << text << "\n"; };
    auto threads = std::stoull(argv[3]);
    auto flows = std::stoull(argv[4]);
    auto packets = std::stoull(argv[5]);
    bool capture = s.link.hello.capture;

    Labels labels;
    Sender sender(std::move(s), &labels);
    auto until = [] { return std::chrono::steady_clock::now() + std::chrono::seconds(10); };
    std::atomic<uint64_t> found{0};
    std::atomic<uint64_t> synced{0};
    std::vector<std::thread> all;
    for ( uint64_t t = 0; t < threads; t++ )
        all.emplace_back([&, t] {
            Worker* worker = sender.Add();
            if ( ! worker )
                std::abort();
            if ( capture )
                worker->AwaitAnswer(until());
            std::string raw(60, '\x45');
            int64_t ts = 1'700'000'000'000'000;
            Labels::Entry e;
            for ( uint64_t f = 1; f <= flows; f++ ) {
                uint64_t id = t << 32 | f;
                for ( uint64_t n = 1; n <= packets; n++ ) {
                    PacketInfo p;
                    p.flow = id;
                    p.ts_us = ts += 10;
                    p.orig_pkts = n;
                    p.wire_len = 60;
                    p.raw = raw;
                    worker->Packet(p);
                }
                if ( f % 2 == 0 )
                    worker->End(id, ts);
                else
                    worker->Closing(id, ts);
                if ( capture && f % 100 == 0 )
                    synced += worker->Sync(until()) ? 1 : 0;
                found += labels.Find(t << 32 | (f + 1) / 2, e) ? 1 : 0;
                labels.Over(id);
            }
            worker->Finish(until());
            Labels::Entry last;
            for ( uint64_t f = 1; f <= flows; f++ )
                found += labels.Find(t << 32 | f, last) && last.flow == (t << 32 | f) ? 1 : 0;
        });
    for ( auto& thread : all )
        thread.join();
    sender.Stop();
    std::cout << "sent " << sender.Sent() << " dropped " << sender.Dropped() << " labels " << labels.Kept()
              << " refused " << labels.Refused() << " found " << found << " synced " << synced << "\n";
}
