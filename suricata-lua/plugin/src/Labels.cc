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
    static_assert(sizeof(Slot) == 32);
    constexpr uint64_t each_its_own = 0x3000'2000'1000'0000;
    for ( auto& marks : table->marks )
        marks.store(each_its_own, std::memory_order_relaxed);
}

// Way is which of the marks is that of the flow, or ways if none is.
size_t Labels::Way(const Where& where, uint64_t marks, uint64_t flow) const {
    for ( size_t way = 0; way < ways; way++ ) {
        auto mark = Mark(marks, way);
        if ( (mark & (used | tag_bits)) == where.tag && table->slots[At(where.place, mark)].Flow() == flow )
            return way;
    }
    return ways;
}

// ExpectLabel fetches the slots of a place at once with the marks that say which of them is
// looked at.
void Labels::ExpectLabel(uint64_t flow) const {
    Where where(flow);
    Prefetch(&table->marks[where.place]);
    for ( size_t way = 0; way < ways; way += 2 ) // two in a cache line
        Prefetch(&table->slots[where.place * ways + way]);
}

// Number makes an entry of a label. False: it is refused.
bool Labels::Number(const Label& l, Entry& e) {
    e.latency_us = l.latency_us;
    e.score = static_cast<float>(l.score);
    e.margin = static_cast<float>(l.margin);
    e.packets = static_cast<uint16_t>(std::min<uint64_t>(l.packets, UINT16_MAX));
    {
        std::lock_guard<std::mutex> hold(naming);
        e.name = classes.Find({l.label, l.services});
        e.provenance = provenances.Find({l.stage, l.model, l.reason});
    }
    bool sound = l.flow.empty() && e.name != classes.none && e.provenance != provenances.none &&
                 std::isfinite(e.score) && std::isfinite(e.margin);
    if ( ! sound )
        refused.fetch_add(1, std::memory_order_relaxed);
    return sound;
}

void Labels::Coming::Add(const Label& label) {
    if ( count == all.size() )
        Keep();
    auto& one = all[count];
    one.flow = label.number;
    if ( ! labels.Number(label, one.entry) )
        return;
    labels.ExpectLabel(one.flow);
    count++;
}

void Labels::Coming::Keep() {
    for ( size_t n = 0; n < count; n++ )
        labels.Keep(all[n].flow, all[n].entry);
    count = 0;
}

void Labels::Keep(uint64_t flow, const Entry& e) {
    Where where(flow);
    kept.fetch_add(1, std::memory_order_relaxed);
    std::lock_guard<std::mutex> hold(locks[where.place % stripes]);
    auto& place = table->marks[where.place];
    auto marks = place.load(std::memory_order_relaxed);
    auto gives = Way(where, marks, flow);
    for ( auto way = ways; way-- > 0 && gives == ways; )
        if ( (Mark(marks, way) & used) == 0 || (Mark(marks, way) & over) != 0 )
            gives = way;
    gives = std::min(gives, ways - 1);
    auto mark = Mark(marks, gives);
    table->slots[At(where.place, mark)].Write(flow, e);
    // The newest comes first, before those that were before the one that gives way. Meanwhile
    // flows may be over.
    uint64_t lower = (uint64_t{1} << 16 * gives) - 1;
    uint64_t higher = ~(lower | uint64_t{0xffff} << 16 * gives);
    while ( ! place.compare_exchange_weak(marks, (marks & higher) | (marks & lower) << 16 | (mark & 0x3000) | where.tag,
                                          std::memory_order_release, std::memory_order_relaxed) )
        ;
}

bool Labels::Find(uint64_t flow, Entry& entry) const {
    Where where(flow);
    auto marks = table->marks[where.place].load(std::memory_order_acquire);
    auto way = Way(where, marks, flow);
    return way < ways && table->slots[At(where.place, Mark(marks, way))].Read(flow, entry);
}

bool Labels::Has(uint64_t flow) const {
    Where where(flow);
    return Way(where, table->marks[where.place].load(std::memory_order_acquire), flow) < ways;
}

// Over may miss a label that gives way at the same time.
bool Labels::Over(uint64_t flow) {
    Where where(flow);
    auto& place = table->marks[where.place];
    auto marks = place.load(std::memory_order_acquire);
    size_t way = ways;
    do {
        way = Way(where, marks, flow);
        if ( way == ways )
            return false;
    } while ( ! place.compare_exchange_weak(marks, marks | over << 16 * way, std::memory_order_acquire) );
    return true;
}

} // namespace serveflow
