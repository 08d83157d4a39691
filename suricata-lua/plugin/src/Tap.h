// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//
// What runs for every packet, and at the end of every flow: which packets go to the
// sidecar, and what of them.

#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "Check.h"
#include "Engine.h"
#include "Labels.h"
#include "Layout.h"
#include "Object.h"
#include "Workers.h"

namespace serveflow {

class Tap {
public:
    struct Settings {
        std::string socket;
        std::string sensor;
        std::string version; // Suricata's
        size_t buffer_bytes = 1 << 21;
        bool labels = false; // asks for them
        bool waits = true;   // for the sidecar, when a capture is read
    };

    Tap(const Engine& engine, const Layout& layout, Settings settings);

    // Register makes the room that the tap needs in every flow, before there are any.
    bool Register();

    // Start is called when a thread that sees packets begins, and says by which
    // worker. Null: it sends nothing.
    Worker* Start();
    void Finish(Worker& worker);

    // Wanted says whether a packet may have to be sent, which costs a look at the two
    // counters of its flow past the first packets, or whether rules ask for the label that
    // its flow may have got.
    bool Wanted(const void* packet) {
        if ( trial.State() != Trial::Passed && ! Try(packet) )
            return false;
        const auto* flow = Read<const void*>(packet, layout.packet.flow);
        return flow && (Sends(flow) || (ruled.load(std::memory_order_relaxed) && LacksBit(flow)));
    }

    void Packet(Worker& worker, const void* packet);
    void End(const void* flow);

    // Label is what a record of a flow says of its label, if it has one by now: all if the
    // flow is over, which in a capture waits for it.
    bool Label(const void* flow, bool over, Object& object);

    uint64_t Sent() const { return workers ? workers->Sent() : 0; }
    uint64_t Dropped() const { return workers ? workers->Dropped() : 0; }
    uint64_t Labelled() const { return labels ? labels->Kept() : 0; }

private:
    // What is kept in the flow, beside its worker, in the bits of the pointer that are
    // always 0. In the lowest: the sides by which it was closed, whether its bit was set,
    // and whether its label came, after which nothing more of it is sent. In the highest,
    // which are 0 as long as a program does not ask for other addresses: the round of
    // labels in which its label was looked for last.
    static constexpr uintptr_t both_sides = 3;
    static constexpr uintptr_t bit_set = 4;
    static constexpr uintptr_t labelled = 8;
    static constexpr uintptr_t marks = both_sides | bit_set | labelled;
    static constexpr uintptr_t rounds = uintptr_t{0xffff} << 48;
    static_assert(alignof(Worker) > marks && sizeof(uintptr_t) == 8);

    const serveflow::Wanted& Need() const { return workers->Need(); }
    [[gnu::noinline]] bool Try(const void* packet); // not in the way of all packets after them
    void SayFailed();
    bool Sends(const void* flow) const {
        return FlowPackets(layout, flow) <= Need().packets.load(std::memory_order_relaxed);
    }
    void Send(Worker& worker, const void* packet, const void* flow, uint64_t id, uintptr_t& state, bool looks);
    bool HasLabel(uint64_t id);
    uintptr_t State(const void* flow) const { return reinterpret_cast<uintptr_t>(engine.storage(flow, storage)); }
    Worker* WorkerOf(const void* flow) const { return reinterpret_cast<Worker*>(State(flow) & ~(marks | rounds)); }
    uintptr_t Round() const { return labels ? labels->Round() << 48 : 0; }
    bool LacksBit(const void* flow) const {
        auto state = State(flow);
        return (state & bit_set) == 0 && (state & rounds) != Round();
    }
    // HasNone says that a flow has no label by what is kept in it.
    bool HasNone(uintptr_t state) const {
        return (state & (rounds | labelled | bit_set)) == Round() &&
               ! Need().after_label.load(std::memory_order_relaxed);
    }
    void SetBit(void* flow, uint64_t id, uintptr_t& state);
    void LookForRules();
    void Close(Worker& worker, const void* flow, const PacketInfo& p, const uint8_t* tcp, uintptr_t& state);
    Worker::Deadline Until();

    const Engine& engine;
    const Layout& layout;
    Settings settings;
    Trial trial;
    std::atomic<bool> failed{false}; // and this was said
    std::mutex lock;                 // of what follows
    std::unique_ptr<Labels> labels;
    std::unique_ptr<Workers> workers; // made with the first worker
    std::atomic<bool> ruled{false};   // a rule names a label
    bool capture = false;
    bool closes = false;       // tells of the end of connections before Suricata does
    int working = 0;           // workers
    int storage = -1;          // in flows: their worker, and marks
    Worker::Deadline finish{}; // of all of them
};

} // namespace serveflow
