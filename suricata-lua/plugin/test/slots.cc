// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//
// Labels that threads write and read at once, of one slot and of one place of the table, for
// the Go tests in test/suricata. It says how often one got what was never written.

#include <array>
#include <cstdio>
#include <thread>
#include <vector>

#include "Labels.h"

using namespace serveflow;

namespace {

int wrong = 0;

void Want(bool right, const char* what, uint64_t n) {
    if ( right )
        return;
    std::printf("%s: %llu\n", what, static_cast<unsigned long long>(n));
    wrong++;
}

// OneSlot has one thread write a slot again and again while others read it.
void OneSlot() {
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
    Want(mixed == 0, "reads that mixed two labels", mixed);
    Want(read > 1000, "reads", read);
}

// Keep keeps a label by which its flow is known.
void Keep(Labels& labels, uint64_t flow) {
    Label l;
    l.number = flow;
    l.label = "web";
    l.latency_us = static_cast<int64_t>(flow >> 1);
    Labels::Coming coming(labels);
    coming.Add(l);
    coming.Keep();
}

// OnePlace has threads keep, end and find flows that share a place.
void OnePlace() {
    constexpr uint64_t golden = 0x9e3779b97f4a7c15U;
    uint64_t inverse = golden;
    for ( int i = 0; i < 6; i++ )
        inverse *= 2 - golden * inverse;
    std::array<uint64_t, 12> flows{};
    for ( uint64_t n = 0; n < flows.size(); n++ )
        flows[n] = (uint64_t{0xabcd} << 48 | n << 36) * inverse;
    Labels labels;
    std::atomic<uint64_t> others{0};
    std::vector<std::thread> threads;
    for ( size_t t = 0; t < 4; t++ )
        threads.emplace_back([&, t] {
            Labels::Entry e{};
            for ( size_t n = t; n < 60'000; n += 1 + t ) {
                auto flow = flows[n % flows.size()];
                if ( t < 2 )
                    Keep(labels, flow);
                else if ( n % 2 == 0 )
                    labels.Over(flow);
                if ( labels.Find(flow, e) && e.latency_us != static_cast<int64_t>(flow >> 1) )
                    others++;
            }
        });
    for ( auto& thread : threads )
        thread.join();
    Want(others == 0, "labels of others that were found", others);
    uint64_t left = 0;
    for ( size_t n = 0; n < 4; n++ )
        Keep(labels, flows[n]);
    for ( size_t n = 0; n < 4; n++ )
        left += labels.Has(flows[n]) ? 1 : 0;
    Want(left == 4, "labels of the last four flows that are left", left);
}

} // namespace

int main() {
    OneSlot();
    OnePlace();
    return wrong > 0;
}
