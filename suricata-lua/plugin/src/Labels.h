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

#include "Slot.h"
#include "Texts.h"
#include "Unpack.h"

namespace serveflow {

class Labels {
public:
    using Entry = LabelEntry;

    Labels();
    Labels(const Labels&) = delete;
    Labels& operator=(const Labels&) = delete;

    // Coming are labels that were read and are not in the table yet: to fetch their places
    // takes longer than all else about a label, and the processor does so while more are
    // read. One thread at a time calls it. After Keep all are in the table.
    class Coming {
    public:
        explicit Coming(Labels& labels) : labels(labels) {}
        void Add(const Label& label);
        void Keep();

    private:
        struct One {
            uint64_t flow;
            Entry entry;
        };

        Labels& labels;
        std::array<One, 8> all;
        size_t count = 0;
    };

    // All that follow may be called by any thread. Find gives the label of a flow; false: it has none.
    bool Find(uint64_t flow, Entry& entry) const;
    bool Has(uint64_t flow) const;

    // Round is the number of the round in which the last labels came, modulo 2^16: until it
    // is another, whoever found no label will find none.
    uint64_t Round() const { return round.load(std::memory_order_acquire) & 0xffff; }
    void NewRound() { round.fetch_add(1, std::memory_order_release); }

    // Expect has the processor fetch what Has will look at where there is no label, while
    // there is other work. ExpectLabel has it fetch what Find and Over will look at where
    // there is one.
    void Expect(uint64_t flow) const { Prefetch(&table->marks[Where(flow).place]); }
    void ExpectLabel(uint64_t flow) const;

    // Over says that the flow has ended: its label is wanted once or twice more. False:
    // it has none.
    bool Over(uint64_t flow);

    // The texts of an entry that was found.
    const Class& ClassOf(const Entry& e) const { return classes.At(e.name); }
    const Provenance& ProvenanceOf(const Entry& e) const { return provenances.At(e.provenance); }

    // Classes is how many came so far, and NthClass one of them.
    size_t Classes() const { return classes.Count(); }
    const Class& NthClass(size_t n) const { return classes.At(static_cast<Numbered<Class>::Number>(n)); }

    // Kept and Refused count LABELs; refused are those with one text too many, or with
    // what the protocol does not permit.
    uint64_t Kept() const { return kept.load(std::memory_order_relaxed); }
    uint64_t Refused() const { return refused.load(std::memory_order_relaxed); }

private:
    static constexpr size_t ways = 4;
    static constexpr size_t places = size_t{1} << 16;
    static constexpr size_t stripes = 64;

    // A place is the marks of its slots in one word, that of the newest lowest. A mark
    // is, from the highest bit on: it is used, its flow is over, two bits for which of
    // the slots it is of, and twelve of the flow's hash. So most flows that have no
    // label are known by one look at a table of half a MiB, without a lock.
    using Place = std::atomic<uint64_t>;
    static constexpr uint64_t used = 1 << 15;
    static constexpr uint64_t over = 1 << 14;
    static constexpr uint64_t tag_bits = 0xfff;

    // Where a flow's label is, if it has one.
    struct Where {
        explicit Where(uint64_t flow) {
            uint64_t hash = flow * 0x9e3779b97f4a7c15U;
            place = hash >> 48;
            tag = used | (hash >> 36 & tag_bits);
        }
        size_t place;
        uint64_t tag; // of its mark
    };

    static uint64_t Mark(uint64_t marks, size_t way) { return marks >> 16 * way & 0xffff; }
    static size_t At(size_t place, uint64_t mark) { return place * ways + (mark >> 12 & 3); }

    // Prefetch has the processor fetch what is at p. To GCC a function that only prefetches
    // does nothing: it would leave out the calls, were there not the empty statement.
    static void Prefetch(const void* p) {
        __builtin_prefetch(p);
        asm volatile("");
    }

    bool Number(const Label& label, Entry& entry);
    void Keep(uint64_t flow, const Entry& entry);
    size_t Way(const Where& where, uint64_t marks, uint64_t flow) const;

    // In huge pages, where the system has them: with others, every look at it would have
    // to find out first where the page is.
    struct Table {
        std::array<Place, places> marks;
        std::array<Slot, places * ways> slots;
    };

    std::unique_ptr<Table, void (*)(void*)> table;
    std::array<std::mutex, stripes> locks; // held to write slots
    std::mutex naming;                     // of those who number texts
    Numbered<Class> classes;
    Numbered<Provenance> provenances;
    std::atomic<uint64_t> round{0};
    std::atomic<uint64_t> kept{0};
    std::atomic<uint64_t> refused{0};
};

} // namespace serveflow
