// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only

#include "Worker.h"

#include <algorithm>

#include "Workers.h"

namespace serveflow {

namespace {

constexpr std::chrono::milliseconds idle{75}; // without a turn of the worker's own

// A thread that wakes up costs some 40 us of processor time on a virtual machine.
constexpr std::chrono::milliseconds rest{100};
constexpr std::chrono::milliseconds short_rest{10}; // in captures, or where more is to be read
constexpr std::chrono::milliseconds long_rest{300}; // where workers need nobody, or nothing happens

constexpr std::chrono::milliseconds moment{100};
constexpr size_t most_queued = 1 << 16; // ends
constexpr size_t most_ends = 2048;      // in one turn, which no packet should have to wait for
constexpr size_t ends_ahead = 8;        // whose labels are fetched meanwhile

} // namespace

Worker::Worker(Workers& workers) : workers(workers), link(*this) {
    link.Configure(workers.Options().link);
    if ( workers.labels )
        coming.emplace(*workers.labels);
}

void Worker::OnLabel(const Label& label) {
    if ( coming )
        coming->Add(label);
}

void Worker::OnReport(const std::string& text) { workers.Report(text); }

void Worker::Connect() {
    std::lock_guard<std::mutex> hold(lock);
    Turn();
}

void Worker::Packet(const PacketInfo& p) {
    std::lock_guard<std::mutex> hold(lock);
    if ( closed.load(std::memory_order_relaxed) )
        return;
    auto before = link.Count();
    link.Packet(p);
    const auto& now = link.Count(); // a write that fails reads, too
    if ( ! pace.Due(now.sent != before.sent || now.labels != before.labels) )
        return;
    turned.store(Clock::now(), std::memory_order_relaxed);
    Turn();
}

// End in a capture is sent at once: the sidecar's clock there is the time of the messages.
void Worker::End(uint64_t flow, int64_t ts_us) {
    if ( ! workers.Options().link.hello.capture )
        return Queue({flow, ts_us, true, {}});
    if ( workers.Over(flow) )
        return;
    std::lock_guard<std::mutex> hold(lock);
    if ( closed.load(std::memory_order_relaxed) )
        return;
    link.End(flow, ts_us);
    Heard();
}

void Worker::Queue(FlowEnd end) {
    if ( closed.load(std::memory_order_relaxed) )
        return;
    bool full = false;
    {
        std::lock_guard<std::mutex> hold(queue_lock);
        end.due = Clock::now() + moment;
        queue.push_back(end);
        full = queue.size() >= most_queued;
    }
    if ( ! full )
        return;
    std::lock_guard<std::mutex> hold(lock);
    if ( closed.load(std::memory_order_relaxed) )
        return;
    SendEnds(true);
    Heard();
}

// Tend leaves a live worker alone that has turns of its own: whoever holds its lock and
// loses the processor would make it wait.
std::chrono::milliseconds Worker::Tend() {
    bool capture = workers.Options().link.hello.capture;
    if ( ! capture && Clock::now() - turned.load(std::memory_order_relaxed) < idle )
        return pace.Busy() ? long_rest : rest;
    std::lock_guard<std::mutex> hold(lock);
    if ( closed.load(std::memory_order_relaxed) )
        return long_rest;
    pace.Idle();
    auto before = link.Count();
    SendEnds(false); // now, since there may be no next packets
    bool more = Turn();
    if ( more || capture )
        return short_rest;
    bool quiet =
        link.Count().sent == before.sent && link.Count().labels == before.labels && sending.empty() && link.Due() < 0;
    return quiet ? long_rest : rest;
}

// Turn writes what the socket takes, and reads; there may be more to read. Ends come last, when
// more labels are known, and go with the next packets. The lock is held.
bool Worker::Turn() {
    link.Wanted(); // connects
    link.Flush();
    bool more = link.Read();
    Heard();
    SendEnds(false);
    return more;
}

// Answered sends SYNC and waits for what it asks for. The lock is held.
bool Worker::Answered(bool final, Deadline deadline) {
    SendEnds(true);
    link.Wanted(); // connects, which takes its time where the sidecar is slow to answer
    std::chrono::duration<double> left = deadline - std::chrono::steady_clock::now();
    bool synced = link.Sync(final, std::max(left.count(), 0.0));
    Heard();
    return synced;
}

// Heard keeps the labels that were read, and tells the others.
void Worker::Heard() {
    if ( link.Welcomed() )
        workers.Want(link.Wanted());
    if ( coming && link.Count().labels != heard ) {
        coming->Keep();
        workers.labels->NewRound();
    }
    heard = link.Count().labels;
    sent.store(link.Count().sent, std::memory_order_relaxed);
    dropped.store(link.Count().dropped, std::memory_order_relaxed);
}

// SendEnds tells of the flows that ended: all, or of those that are due, a part. The lock is
// held.
void Worker::SendEnds(bool all) {
    auto now = Clock::now();
    for ( size_t n = 0; all || n < most_ends; n++ ) {
        if ( ends_sent == sending.size() ) {
            sending.clear();
            ends_sent = 0;
            std::lock_guard<std::mutex> hold(queue_lock);
            sending.swap(queue);
        }
        if ( sending.empty() || (! all && sending[ends_sent].due > now) )
            return;
        if ( auto later = ends_sent + ends_ahead; coming && later < sending.size() )
            workers.labels->ExpectLabel(sending[later].flow);
        const auto& end = sending[ends_sent++];
        if ( ! end.over || ! workers.Over(end.flow) )
            link.End(end.flow, end.ts_us);
    }
}

bool Worker::Sync(Deadline deadline) {
    std::lock_guard<std::mutex> hold(lock);
    return ! closed.load(std::memory_order_relaxed) && Answered(false, deadline);
}

void Worker::Finish(Deadline deadline) {
    std::lock_guard<std::mutex> hold(lock);
    if ( ! closed.load(std::memory_order_relaxed) )
        Answered(true, deadline);
    closed.store(true, std::memory_order_relaxed);
}

void Worker::Close() {
    std::lock_guard<std::mutex> hold(lock);
    closed.store(true, std::memory_order_relaxed);
    link.Close();
    Heard();
}

} // namespace serveflow
