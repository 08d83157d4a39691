// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only

#include "Worker.h"

#include <algorithm>

#include "Workers.h"

namespace serveflow {

namespace {

constexpr std::chrono::milliseconds idle{75}; // without a turn

// A thread that wakes up costs some 40 us of processor time on a virtual machine.
constexpr std::chrono::milliseconds rest{100};
constexpr std::chrono::milliseconds short_rest{10}; // in captures, or where more is to be read
constexpr std::chrono::milliseconds long_rest{400}; // where workers need nobody, or nothing happens

constexpr std::chrono::milliseconds moment{100};
constexpr size_t most_ends = 1 << 16;

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
    if ( closed.load(std::memory_order_relaxed) )
        return;
    auto written = link.Count().sent;
    link.Packet(p);
    if ( pace.Due(link.Count().sent != written) )
        Turn();
}

void Worker::Ends(Last last) {
    if ( closed.load(std::memory_order_relaxed) )
        return;
    {
        std::lock_guard<std::mutex> hold(ending);
        last.at = Clock::now() + moment;
        if ( ends.size() < most_ends )
            ends.push_back(last);
        else
            forgotten.fetch_add(1, std::memory_order_relaxed);
    }
    if ( workers.Options().link.hello.capture ) { // whose clock is that of its messages
        std::lock_guard<std::mutex> hold(lock);
        if ( ! closed.load(std::memory_order_relaxed) )
            SendEnds(true);
    }
}

// Tend leaves a live worker alone that has turns of its own: whoever holds its lock and
// loses the processor would make it wait.
std::chrono::milliseconds Worker::Tend() {
    bool capture = workers.Options().link.hello.capture;
    if ( ! capture && Clock::now() - turned.load(std::memory_order_relaxed) < idle )
        return pace.Busy() ? long_rest : rest;
    std::lock_guard<std::mutex> hold(lock);
    pace.Idle();
    auto before = link.Count();
    bool more = ! closed.load(std::memory_order_relaxed) && Turn();
    if ( more || capture )
        return short_rest;
    bool quiet = link.Count().sent == before.sent && link.Count().labels == before.labels;
    return quiet && ! ends_left && link.Due() < 0 ? long_rest : rest;
}

// Turn writes what the socket takes, and reads; there may be more to read. Ends come last, when
// more labels are known, and go with the next packets. The lock is held.
bool Worker::Turn() {
    turned.store(Clock::now(), std::memory_order_relaxed);
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

// SendEnds tells of the flows that ended, all or those whose moment is over. The lock is
// held.
void Worker::SendEnds(bool all) {
    {
        std::lock_guard<std::mutex> hold(ending);
        auto end = ends.begin();
        for ( auto now = Clock::now(); end != ends.end() && (all || end->at <= now); )
            ++end;
        due.assign(ends.begin(), end);
        ends.erase(ends.begin(), end);
        ends_left = ! ends.empty();
    }
    for ( const auto& last : due )
        workers.Expect(last.flow);
    for ( const auto& last : due )
        if ( ! workers.Ended(last.flow, last.over) )
            link.End(last.flow, last.ts_us);
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
