// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//
// When a worker that sees packets takes its next turn at the socket (the generic cell rate
// algorithm, ITU-T I.371): twenty a second on average, since one costs as much as some
// hundred packets, and ten more at once, so that packets do not wait where they are few.

#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>

#include "Link.h"

namespace serveflow {

class Pace {
public:
    // Due is asked at each packet, and says whether it is time for a turn, which it always
    // is where a batch was full. Where packets are many, the clock is not read for each.
    bool Due(bool full, Clock::time_point (*clock)() = Clock::now) {
        packets++;
        if ( packets < look && ! full )
            return false;
        auto now = clock();
        if ( next - now > ahead && ! full ) {
            look = packets + step;
            return false;
        }
        next = std::min(std::max(next, now), now + ahead) + between;
        busy.store(next - now > ahead, std::memory_order_relaxed);
        step = look = std::min<uint64_t>(packets / 8, 64);
        packets = 0;
        return true;
    }

    // Idle is said when there was no turn for a while, as after the last packet of many.
    void Idle() {
        packets = look = 0;
        busy.store(false, std::memory_order_relaxed);
    }

    // Busy is whether turns were as many as they may be, for any thread.
    bool Busy() const { return busy.load(std::memory_order_relaxed); }

private:
    static constexpr std::chrono::milliseconds between{50};
    static constexpr auto ahead = 10 * between;

    Clock::time_point next; // turn, if they were evenly spaced
    uint64_t packets = 0;   // since the last turn
    uint64_t look = 0;      // at the clock, when there are so many
    uint64_t step = 0;      // packets from look to look
    std::atomic<bool> busy{false};
};

} // namespace serveflow
