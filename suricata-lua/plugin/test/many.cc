// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//
// Many threads send flows through Workers, for the Go tests in test/suricata, which
// are the sidecar.
//
//     many SOCKET MODE THREADS FLOWS PACKETS PAUSE_MS
//
// MODE is capture or live. Each thread has so many flows of so many packets, every
// other one ended by Closing, and looks labels up meanwhile. Then it says what was sent
// by then, and again after so many milliseconds in which nothing is added; at the end it
// says what was counted.

#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "Workers.h"

using namespace serveflow;

int main(int argc, char** argv) {
    if ( argc != 7 )
        return 2;
    Workers::Settings s;
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
    auto pause = std::chrono::milliseconds(std::stoull(argv[6]));
    bool capture = s.link.hello.capture;

    Labels labels;
    Workers workers(std::move(s), &labels);
    auto until = [&] { return std::chrono::steady_clock::now() + std::chrono::seconds(capture ? 10 : 2); };
    std::atomic<uint64_t> found{0};
    std::atomic<uint64_t> synced{0};
    std::atomic<uint64_t> early{0};
    std::atomic<uint64_t> late{0};
    std::vector<std::thread> all;
    for ( uint64_t t = 0; t < threads; t++ )
        all.emplace_back([&, t] {
            Worker* worker = workers.Add();
            if ( ! worker )
                std::abort();
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
                    worker->End(id, ts - 60'000'000); // a flow ends long after its last packet
                else
                    worker->Closing(id, ts);
                if ( capture && f % 100 == 0 )
                    synced += worker->Sync(until()) ? 1 : 0;
                found += labels.Find(t << 32 | (f + 1) / 2, e) ? 1 : 0;
                labels.Over(id);
            }
            early += worker->Sent();
            std::this_thread::sleep_for(pause);
            late += worker->Sent();
            worker->Finish(until());
            Labels::Entry last;
            for ( uint64_t f = 1; f <= flows; f++ )
                found += labels.Find(t << 32 | f, last) && last.latency_us == static_cast<int64_t>(t << 32 | f) ? 1 : 0;
        });
    for ( auto& thread : all )
        thread.join();
    workers.Stop();
    std::cout << "sent " << workers.Sent() << " dropped " << workers.Dropped() << " labels " << labels.Kept()
              << " refused " << labels.Refused() << " found " << found << " synced " << synced << " early " << early
              << " late " << late << "\n";
}
