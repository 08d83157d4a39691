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
#include <string>
#include <vector>

#include "Link.h"

namespace serveflow {

class Workers;

// Aligned so that a pointer to it leaves bits for a flow's marks.
class alignas(16) Worker final : Link::Owner {
public:
    using Deadline = std::chrono::steady_clock::time_point;

    explicit Worker(Workers& workers);
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    // Connect begins the connection. A capture waits until the sidecar has said what it
    // wants.
    void Connect();

    // A message for the sidecar; it is sent or counted as dropped. Packet is called by
    // the worker's thread, the others by any.
    void Packet(const PacketInfo& p);
    void End(uint64_t flow, int64_t ts_us);

    // Closing sends END in a moment, after the packets that may still come.
    void Closing(uint64_t flow, int64_t ts_us);

    // Tend writes and reads for a thread that has had no packet to send for a while, and
    // says whether there may be more to read.
    bool Tend();

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

    bool Turn();
    bool Answered(bool final, Deadline deadline);
    void Heard();
    void CloseDue();

    Workers& workers;
    std::atomic<Clock::time_point> turned{Clock::time_point{}}; // the last turn
    std::atomic<uint64_t> sent{0};
    std::atomic<uint64_t> dropped{0};

    std::mutex lock; // of what follows
    Link link;
    struct Ending {
        uint64_t flow;
        int64_t ts_us;
        Clock::time_point at;
    };
    std::vector<Ending> closing;
    uint64_t heard = 0;     // labels that the others know of
    Clock::time_point next; // of the turns, if they were evenly spaced
    bool closed = false;    // nothing more is taken
};

} // namespace serveflow
