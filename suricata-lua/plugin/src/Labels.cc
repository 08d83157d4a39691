// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only

#include "Labels.h"

#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <new>

namespace serveflow {

namespace {

constexpr size_t huge_page = size_t{1} << 21;

void* HugePages(size_t bytes) {
    bytes = (bytes + huge_page - 1) / huge_page * huge_page;
    void* memory = std::aligned_alloc(huge_page, bytes);
    if ( ! memory )
        throw std::bad_alloc();
    madvise(memory, bytes, MADV_HUGEPAGE); // or it is in small ones
    return memory;
}

} // namespace

// The whole table is written at the start: the system clears huge pages at their first
// use, which takes milliseconds, and is no time to lose with the first labels.
Labels::Labels() : table(new (HugePages(sizeof(Table))) Table(), std::free) {
    static_assert(sizeof(Entry) == 32);
    constexpr uint64_t each_its_own = 0x3000'2000'1000'0000;
    for ( auto& marks : table->marks )
        marks.store(each_its_own, std::memory_order_relaxed);
}

// Possible is whether one of the marks may be that of the flow.
bool Labels::Possible(const Where& where, uint64_t marks) {
    for ( size_t way = 0; way < ways; way++ )
        if ( (Mark(marks, way) & (used | tag_bits)) == where.tag )
            return true;
    return false;
}

// Way is which of the marks is that of the flow, or ways if none is. The lock is held.
size_t Labels::Way(const Where& where, uint64_t marks, uint64_t flow) {
    for ( size_t way = 0; way < ways; way++ ) {
        auto mark = Mark(marks, way);
        if ( (mark & (used | tag_bits)) == where.tag && At(where.place, mark).flow == flow )
            return way;
    }
    return ways;
}

void Labels::Keep(const Label& l) {
    Where where(l.number);
    Fetch<true>(where);
    Entry e;
    e.flow = l.number;
    e.latency_us = l.latency_us;
    e.score = static_cast<float>(l.score);
    e.margin = static_cast<float>(l.margin);
    e.packets = static_cast<uint32_t>(std::min<uint64_t>(l.packets, UINT32_MAX));
    {
        std::lock_guard<std::mutex> hold(naming);
        e.name = classes.Find({l.label, l.services});
        e.provenance = provenances.Find({l.stage, l.model, l.reason});
    }
    if ( ! l.flow.empty() || e.name == classes.none || e.provenance == provenances.none || ! std::isfinite(e.score) ||
         ! std::isfinite(e.margin) ) {
        refused.fetch_add(1, std::memory_order_relaxed);
        return;
    }
    kept.fetch_add(1, std::memory_order_relaxed);
    std::lock_guard<std::mutex> hold(locks[where.place % stripes]);
    auto marks = table->marks[where.place].load(std::memory_order_relaxed);
    auto gives = Way(where, marks, e.flow);
    for ( auto way = ways; way-- > 0 && gives == ways; )
        if ( (Mark(marks, way) & used) == 0 || (Mark(marks, way) & over) != 0 )
            gives = way;
    gives = std::min(gives, ways - 1);
    auto mark = Mark(marks, gives);
    At(where.place, mark) = e;
    // The newest comes first, before those that were before the one that gives way.
    uint64_t before = marks & ((uint64_t{1} << 16 * gives) - 1);
    uint64_t after = marks & ~(((uint64_t{1} << 16 * gives) - 1) | uint64_t{0xffff} << 16 * gives);
    table->marks[where.place].store(after | before << 16 | (mark & 0x3000) | where.tag, std::memory_order_release);
}

// WithMark has the action done, under the lock, with the marks of the flow's place and which
// of them is the flow's. False: the flow has no label.
template <typename Action>
bool Labels::WithMark(uint64_t flow, Action action) {
    Where where(flow);
    if ( ! Possible(where, table->marks[where.place].load(std::memory_order_acquire)) )
        return false;
    std::lock_guard<std::mutex> hold(locks[where.place % stripes]);
    auto marks = table->marks[where.place].load(std::memory_order_relaxed);
    auto way = Way(where, marks, flow);
    if ( way == ways )
        return false;
    action(where.place, marks, way);
    return true;
}

bool Labels::Find(uint64_t flow, Entry& entry) {
    return WithMark(flow, [&](size_t place, uint64_t marks, size_t way) { entry = At(place, Mark(marks, way)); });
}

bool Labels::Over(uint64_t flow) {
    Fetch<false>(Where(flow));
    return WithMark(flow, [&](size_t place, uint64_t marks, size_t way) {
        table->marks[place].store(marks | over << 16 * way, std::memory_order_relaxed);
    });
}

} // namespace serveflow
