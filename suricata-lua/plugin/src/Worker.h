// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//
// One thread of the engine that sees packets, as the thread that sends sees it: a
// buffer under a lock that is held for one message at a time. Live it never waits;
// whoever reads a capture waits for room, and for answers, with a time limit.
// Nothing here knows of Suricata.

#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "Link.h"

namespace serveflow {

class Sender;

// Aligned so that a pointer to it leaves bits for a flow's marks.
class alignas(16) Worker {
public:
    using Deadline = std::chrono::steady_clock::time_point;

    explicit Worker(Sender& sender) : sender(sender) {}
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    // A message for the sidecar, from any thread; it is sent or counted as dropped.
    void Packet(const PacketInfo& p);
    void End(uint64_t flow, int64_t ts_us);

    // Closing sends END in a moment, after the packets that may still come.
    void Closing(uint64_t flow, int64_t ts_us);

    // AwaitAnswer waits until the sidecar has said what it wants or is not there.
    void AwaitAnswer(Deadline deadline);

    // Sync waits for the labels due from all that was added. False: they did not
    // come.
    bool Sync(Deadline deadline);

    // Finish ends all flows, waits for their labels, and takes nothing more.
    void Finish(Deadline deadline);

private:
    friend class Sender;

    void CloseDue();
    bool Room(std::unique_lock<std::mutex>& hold, size_t bytes);
    void Added(size_t before);
    bool Ask(std::unique_lock<std::mutex>& hold, Deadline deadline);

    Sender& sender;

    std::mutex lock; // of what follows
    std::condition_variable changed;
    Buffer messages;
    uint64_t count = 0;
    uint64_t dropped = 0;
    struct Ending {
        uint64_t flow;
        int64_t ts_us;
        Clock::time_point at;
    };
    std::vector<Ending> closing;
    int64_t newest = 0;      // packets' clock
    uint64_t asked = 0;      // SYNCs,
    Deadline until;          // when the last one is of no use any more,
    uint64_t answered = 0;   // how many of them are done,
    bool synced = false;     // and whether the last one brought the labels
    bool final = false;      // the next one ends all flows
    bool closed = false;     // nothing more is taken
    bool introduced = false; // the sidecar was looked for
    bool impatient = false;  // room was waited for in vain, once
};

} // namespace serveflow
