// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//
// One thread of the engine that sees packets, and its connection to the sidecar. The
// thread itself writes and reads when it has a packet to send, twenty times a second on
// average or when a batch is full: it is awake, and to wake up another one would cost
// more. Live nobody waits for the sidecar; whoever reads a capture does, with a time limit.
// Nothing here knows of Suricata.

#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "Labels.h"
#include "Link.h"
#include "Pace.h"

namespace serveflow {

class Workers;

// Aligned so that it shares no cache line, and that a pointer to it leaves bits for a flow's
// marks.
class alignas(64) Worker final : Link::Owner {
public:
    using Deadline = std::chrono::steady_clock::time_point;

    explicit Worker(Workers& workers);
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    // Connect begins the connection. A capture waits until the sidecar has said what it
    // wants.
    void Connect();

    // Packet is called by the worker's thread. The packet is sent or counted as dropped.
    void Packet(const PacketInfo& p);

    // End may be called by any thread. The sidecar is told of the end, unless the flow has its
    // label and nothing more of it is wanted: in a capture at once, live in a moment.
    void End(uint64_t flow, int64_t ts_us);

    // Closing tells of the end of a live flow in a moment, after the packets that may still
    // come.
    void Closing(uint64_t flow, int64_t ts_us) { Queue({flow, ts_us, false, {}}); }

    // Tend writes and reads for a thread that has had no packet to send for a while, and
    // says after what time it wants to be called again.
    std::chrono::milliseconds Tend();

    // Sync waits for the labels due from all that was added. False: they did not
    // come.
    bool Sync(Deadline deadline);

    // Finish ends all flows, waits for their labels, and takes nothing more.
    void Finish(Deadline deadline);

    // Close takes nothing more and ends the connection; what waits is lost.
    void Close();

    // What was counted until the last turn.
    uint64_t Sent() const { return sent.load(std::memory_order_relaxed); }
    uint64_t Dropped() const { return dropped.load(std::memory_order_relaxed); }

private:
    void OnLabel(const Label& label) override;
    void OnSocket(int) override {}
    void OnReport(const std::string& text) override;

    struct FlowEnd {
        uint64_t flow;
        int64_t ts_us;
        bool over; // or only closing
        Clock::time_point due;
    };

    void Queue(FlowEnd end);
    bool Turn();
    bool Answered(bool final, Deadline deadline);
    void Heard();
    void SendEnds(bool all);

    Workers& workers;
    std::atomic<Clock::time_point> turned{Clock::time_point{}}; // the last turn of its thread
    std::atomic<uint64_t> sent{0};
    std::atomic<uint64_t> dropped{0};
    std::atomic<bool> closed{false}; // nothing more is taken

    alignas(64) std::mutex lock; // of what follows
    Link link;
    Pace pace;
    std::vector<FlowEnd> sending; // taken from the queue
    size_t ends_sent = 0;         // of these
    std::optional<Labels::Coming> coming;
    uint64_t heard = 0; // labels that the others know of

    // Flows end in other threads, which take their cache line away from no packet.
    alignas(64) std::mutex queue_lock;
    std::vector<FlowEnd> queue; // in the order in which they are due
};

} // namespace serveflow
