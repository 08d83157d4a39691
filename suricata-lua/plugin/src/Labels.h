// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//
// The labels that came, by flow, for whoever writes a record of the flow. The table
// has a fixed size: of the flows that share a place, one that is over gives way
// first, then the one whose label is oldest.

#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "Texts.h"
#include "Unpack.h"

namespace serveflow {

class Labels {
public:
    // What is kept of a LABEL. The texts live as long as the table.
    struct Entry {
        uint64_t flow = 0;
        int64_t latency_us = 0;
        float score = 0;
        float margin = 0;
        uint32_t packets = 0;
        Texts::Number label = Texts::none; // none: no label is kept here
        Texts::Number stage = 0;
        Texts::Number model = 0;   // the bundle's name
        Texts::Number version = 0; // and its version
        Texts::Number reason = 0;
        Texts::Number services = 0;
        bool over = false;
    };

    Labels() : table(new Place[places]()) {}
    Labels(const Labels&) = delete;
    Labels& operator=(const Labels&) = delete;

    // Keep is called by one thread alone.
    void Keep(const Label& label);

    // Find, Over and Text may be called by any thread.
    bool Find(uint64_t flow, Entry& entry);

    // Over says that the flow has ended: its label is wanted once or twice more. False:
    // it has none.
    bool Over(uint64_t flow);

    // Text is one of an entry that was found.
    const Texts::Text& Text(Texts::Number n) const { return texts.At(n); }

    // Known is how many texts came so far, for the thread that calls Keep.
    size_t Known() const { return texts.Count(); }

    // Kept and Refused count LABELs; refused are those with one text too many, or with
    // what the protocol does not permit.
    uint64_t Kept() const { return kept.load(std::memory_order_relaxed); }
    uint64_t Refused() const { return refused.load(std::memory_order_relaxed); }

private:
    static constexpr size_t ways = 4;
    static constexpr size_t places = size_t{1} << 16;
    static constexpr size_t stripes = 64;

    using Place = std::array<Entry, ways>;

    static size_t At(uint64_t flow) { return (flow * 0x9e3779b97f4a7c15U) >> 48; }

    std::unique_ptr<Place[]> table;
    std::array<std::mutex, stripes> locks;
    Texts texts;
    std::atomic<uint64_t> kept{0};
    std::atomic<uint64_t> refused{0};
};

} // namespace serveflow
