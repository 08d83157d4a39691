// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//
// A place for one label, which one thread at a time writes while others read it without a
// lock (a seqlock: Lameter, "Effective Synchronization on Linux/NUMA Systems", 2005).

#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>

namespace serveflow {

// What is kept of a LABEL.
struct LabelEntry {
    int64_t latency_us;
    float score;
    float margin;
    uint16_t name;       // of its class,
    uint16_t provenance; // and of where it comes from (Texts.h)
    uint16_t packets;
};

class Slot {
public:
    // Flow is whose label it is.
    uint64_t Flow() const { return words[0].load(std::memory_order_relaxed); }

    void Write(uint64_t flow, const LabelEntry& e) {
        uint64_t shares = 0;
        std::memcpy(&shares, &e.score, 4);
        std::memcpy(reinterpret_cast<char*>(&shares) + 4, &e.margin, 4);
        uint64_t numbers = uint64_t{e.name} | uint64_t{e.provenance} << 16 | uint64_t{e.packets} << 32;
        auto writes = words[3].load(std::memory_order_relaxed) >> 48;
        words[3].store((writes + 1) << 48, std::memory_order_relaxed);
        words[0].store(flow, std::memory_order_release);
        words[1].store(static_cast<uint64_t>(e.latency_us), std::memory_order_release);
        words[2].store(shares, std::memory_order_release);
        words[3].store((writes + 2) << 48 | numbers, std::memory_order_release);
    }

    // Read is false if the label is another flow's, or is still being written after some tries:
    // nobody waits for a thread that lost the processor.
    bool Read(uint64_t flow, LabelEntry& e) const {
        std::array<uint64_t, 4> w{};
        bool whole = false;
        for ( int tries = 0; tries < 100 && ! whole; tries++ ) {
            w[3] = words[3].load(std::memory_order_acquire);
            for ( size_t i = 0; i < 3; i++ )
                w[i] = words[i].load(std::memory_order_acquire);
            whole = (w[3] >> 48 & 1) == 0 && words[3].load(std::memory_order_relaxed) == w[3];
        }
        if ( ! whole || w[0] != flow )
            return false;
        e.latency_us = static_cast<int64_t>(w[1]);
        std::memcpy(&e.score, &w[2], 4);
        std::memcpy(&e.margin, reinterpret_cast<const char*>(&w[2]) + 4, 4);
        e.name = static_cast<uint16_t>(w[3]);
        e.provenance = static_cast<uint16_t>(w[3] >> 16);
        e.packets = static_cast<uint16_t>(w[3] >> 32);
        return true;
    }

private:
    // The flow, the latency, score and margin, and the rest below a count of 16 bits, which
    // is odd while the others are written.
    std::array<std::atomic<uint64_t>, 4> words;
};

} // namespace serveflow
