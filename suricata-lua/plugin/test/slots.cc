// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//
// One slot of the table of labels, which a thread writes again and again while others read
// it, for the Go tests in test/suricata. It says how often a reader got what was never
// written.

#include <cstdio>
#include <thread>
#include <vector>

#include "Slot.h"

using namespace serveflow;

int main() {
    Slot slot{};
    std::atomic<bool> done{false};
    std::atomic<uint64_t> mixed{0};
    std::atomic<uint64_t> read{0};
    std::vector<std::thread> readers;
    for ( int t = 0; t < 3; t++ )
        readers.emplace_back([&] {
            LabelEntry e{};
            while ( ! done ) {
                auto n = slot.Flow();
                if ( ! slot.Read(n, e) )
                    continue;
                read++;
                auto small = static_cast<uint16_t>(n);
                bool same = e.latency_us == static_cast<int64_t>(n) && e.score == static_cast<float>(small) &&
                            e.margin == -e.score && e.name == small && e.provenance == small && e.packets == small;
                mixed += same ? 0 : 1;
            }
        });
    LabelEntry e{};
    for ( uint64_t n = 1; n <= 300'000; n++ ) {
        e.latency_us = static_cast<int64_t>(n);
        e.name = e.provenance = e.packets = static_cast<uint16_t>(n);
        e.score = e.packets;
        e.margin = -e.score;
        slot.Write(n, e);
        if ( n % 64 == 0 )
            std::this_thread::yield();
    }
    done = true;
    for ( auto& reader : readers )
        reader.join();
    if ( mixed == 0 && read > 1000 )
        return 0;
    std::printf("%llu of %llu labels were read of two\n", static_cast<unsigned long long>(mixed),
                static_cast<unsigned long long>(read));
    return 1;
}
