// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only

#include "Worker.h"

#include <algorithm>

#include "Workers.h"

namespace serveflow {

namespace {

// A turn costs as much as some hundred packets, so that they are few where there is much
// traffic. Ten more may come at once: where there is little, no packet has to wait.
constexpr std::chrono::milliseconds between_turns{50};
constexpr auto ahead = 10 * between_turns;
constexpr std::chrono::milliseconds idle{75}; // without a turn
constexpr std::chrono::milliseconds moment{100};
constexpr size_t most_closing = 1 << 16;

} // namespace

Worker::Worker(Workers& workers) : workers(workers), link(*this) { link.Configure(workers.Options().link); }

void Worker::OnLabel(const Label& label) { workers.Keep(label); }

void Worker::OnReport(const std::string& text) { workers.Report(text); }

void Worker::Connect() {
    std::lock_guard<std::mutex> hold(lock);
    Turn();
}

void Worker::Packet(const PacketInfo& p) {
    std::lock_guard<std::mutex> hold(lock);
    if ( closed )
        return;
    auto written = link.Count().sent;
    link.Packet(p);
    auto now = Clock::now();
    if ( next - now > ahead && link.Count().sent == written )
        return;
    next = std::min(std::max(next, now), now + ahead) + between_turns;
    Turn();
}

void Worker::End(uint64_t flow, int64_t ts_us) {
    std::lock_guard<std::mutex> hold(lock);
    if ( closed )
        return;
    link.End(flow, ts_us);
    if ( link.Count().labels != heard )
        Heard();
}

void Worker::Closing(uint64_t flow, int64_t ts_us) {
    std::lock_guard<std::mutex> hold(lock);
    if ( closing.size() < most_closing ) // the others end with their record
        closing.push_back({flow, ts_us, Clock::now() + moment});
}

// Tend leaves a live worker alone that has turns of its own: whoever holds its lock and
// loses the processor would make it wait.
bool Worker::Tend() {
    bool capture = workers.Options().link.hello.capture;
    if ( ! capture && Clock::now() - turned.load(std::memory_order_relaxed) < idle )
        return false;
    std::lock_guard<std::mutex> hold(lock);
    return ! closed && Turn();
}

// Turn writes what the socket takes, and reads; there may be more to read. The lock is held.
bool Worker::Turn() {
    turned.store(Clock::now(), std::memory_order_relaxed);
    link.Wanted(); // connects
    CloseDue();
    link.Flush();
    bool more = link.Read();
    Heard();
    return more;
}

// Answered sends SYNC and waits for what it asks for. The lock is held.
bool Worker::Answered(bool final, Deadline deadline) {
    link.Wanted(); // connects, which takes its time where the sidecar is slow to answer
    std::chrono::duration<double> left = deadline - std::chrono::steady_clock::now();
    bool synced = link.Sync(final, std::max(left.count(), 0.0));
    Heard();
    return synced;
}

// Heard tells the others what was read.
void Worker::Heard() {
    if ( link.Welcomed() )
        workers.Want(link.Wanted());
    if ( link.Count().labels != heard )
        workers.NewLabels();
    heard = link.Count().labels;
    sent.store(link.Count().sent, std::memory_order_relaxed);
    dropped.store(link.Count().dropped, std::memory_order_relaxed);
}

// CloseDue ends the flows whose moment is over. The lock is held.
void Worker::CloseDue() {
    if ( closing.empty() )
        return;
    auto now = Clock::now();
    auto due = closing.begin();
    for ( ; due != closing.end() && due->at <= now; ++due )
        link.End(due->flow, due->ts_us);
    closing.erase(closing.begin(), due);
}

bool Worker::Sync(Deadline deadline) {
    std::lock_guard<std::mutex> hold(lock);
    return ! closed && Answered(false, deadline);
}

void Worker::Finish(Deadline deadline) {
    std::lock_guard<std::mutex> hold(lock);
    if ( ! closed )
        Answered(true, deadline);
    closed = true;
}

void Worker::Close() {
    std::lock_guard<std::mutex> hold(lock);
    closed = true;
    link.Close();
    Heard();
}

} // namespace serveflow
