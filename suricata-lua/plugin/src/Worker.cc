// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only

#include "Worker.h"

#include "Sender.h"

namespace serveflow {

namespace {

constexpr size_t largest = max_flow + 96; // of a message, without what it has of the packet
constexpr std::chrono::milliseconds moment{100};
constexpr size_t most_closing = 1 << 16;

} // namespace

// Room says whether so many bytes fit; else the message is counted as dropped.
bool Worker::Room(std::unique_lock<std::mutex>& hold, size_t bytes) {
    if ( closed )
        return false;
    const auto& o = sender.Options();
    if ( messages.Size() + bytes <= o.link.buffer_bytes )
        return true;
    if ( o.link.hello.capture && ! impatient ) {
        auto deadline = std::chrono::steady_clock::now() + o.Patience();
        auto fits = [&] { return closed || messages.Size() + bytes <= o.link.buffer_bytes; };
        sender.Kick();
        impatient = ! changed.wait_until(hold, deadline, fits);
        if ( ! impatient && ! closed )
            return true;
    }
    dropped++;
    return false;
}

void Worker::Added(size_t before) {
    count++;
    auto full = sender.Options().link.batch_bytes;
    if ( before < full && messages.Size() >= full )
        sender.Kick();
}

void Worker::Packet(const PacketInfo& p) {
    std::unique_lock<std::mutex> hold(lock);
    newest = p.ts_us;
    if ( ! Room(hold, p.raw.size() + largest) )
        return;
    auto before = messages.Size();
    PackPacket(messages, p);
    Added(before);
}

void Worker::End(uint64_t flow, int64_t ts_us) {
    std::unique_lock<std::mutex> hold(lock);
    if ( ! Room(hold, largest) )
        return;
    auto before = messages.Size();
    PackEnd(messages, flow, ts_us);
    Added(before);
}

void Worker::Closing(uint64_t flow, int64_t ts_us) {
    std::unique_lock<std::mutex> hold(lock);
    if ( closing.size() < most_closing ) // the others end with their record
        closing.push_back({flow, ts_us, Clock::now() + moment});
}

// CloseDue ends the flows whose moment is over. The lock is held.
void Worker::CloseDue() {
    if ( closing.empty() )
        return;
    auto now = Clock::now();
    auto due = closing.begin();
    for ( ; due != closing.end() && due->at <= now; ++due ) {
        if ( messages.Size() + largest > sender.Options().link.buffer_bytes ) {
            dropped++;
            continue;
        }
        PackEnd(messages, due->flow, due->ts_us);
        count++;
    }
    closing.erase(closing.begin(), due);
}

void Worker::AwaitAnswer(Deadline deadline) {
    sender.Kick();
    std::unique_lock<std::mutex> hold(lock);
    changed.wait_until(hold, deadline, [this] { return introduced; });
}

bool Worker::Ask(std::unique_lock<std::mutex>& hold, Deadline deadline) {
    auto mine = ++asked;
    until = deadline;
    sender.Kick();
    return changed.wait_until(hold, deadline, [&] { return answered >= mine; }) && synced;
}

bool Worker::Sync(Deadline deadline) {
    std::unique_lock<std::mutex> hold(lock);
    return ! closed && Ask(hold, deadline);
}

void Worker::Finish(Deadline deadline) {
    std::unique_lock<std::mutex> hold(lock);
    final = true;
    Ask(hold, deadline);
    closed = true;
    changed.notify_all();
}

} // namespace serveflow
