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
#include "Sender.h"

namespace serveflow {

class Tap {
public:
    struct Settings {
        std::string socket;
        std::string sensor;
        std::string version; // Suricata's
        size_t buffer_bytes = 1 << 20;
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

    // Wanted says whether a packet is to be sent: it costs a look at the two counters
    // of its flow.
    bool Wanted(const void* packet) {
        if ( trial.State() != Trial::Passed && ! Try(packet) )
            return false;
        const auto* flow = Read<const void*>(packet, layout.packet.flow);
        return flow && FlowPackets(layout, flow) <= Need().packets.load(std::memory_order_relaxed);
    }

    void Packet(Worker& worker, const void* packet);
    void End(const void* flow);

    // Label is what a record of a flow says of its label, if it has one by now. In a
    // capture the record of a flow that is over waits for it.
    bool Label(const void* flow, bool over, Object& object);

    uint64_t Sent() const { return sender ? sender->Sent() : 0; }
    uint64_t Dropped() const { return sender ? sender->Dropped() : 0; }
    uint64_t Labelled() const { return labels ? labels->Kept() : 0; }

private:
    static constexpr uintptr_t both_sides = 3;

    const serveflow::Wanted& Need() const { return sender->Need(); }
    [[gnu::noinline]] bool Try(const void* packet); // not in the way of all packets after them
    void SayFailed();
    Worker* WorkerOf(const void* flow) const {
        return reinterpret_cast<Worker*>(reinterpret_cast<uintptr_t>(engine.storage(flow, storage)) & ~both_sides);
    }
    uintptr_t Mark(void* flow, Worker& worker, uintptr_t sides);
    void Close(Worker& worker, void* flow, const PacketInfo& p, const uint8_t* tcp);
    Worker::Deadline Until();

    const Engine& engine;
    const Layout& layout;
    Settings settings;
    Trial trial;
    std::atomic<bool> failed{false}; // and this was said
    std::mutex lock;                 // of what follows
    std::unique_ptr<Labels> labels;
    std::unique_ptr<Sender> sender; // made with the first worker
    bool capture = false;
    bool closes = false;       // tells of the end of connections before Suricata does
    int working = 0;           // workers
    int storage = -1;          // in flows: their worker
    Worker::Deadline finish{}; // of all of them
};

} // namespace serveflow
