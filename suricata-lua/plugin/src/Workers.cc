// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only

#include "Workers.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <system_error>

namespace serveflow {

namespace {

// OnAnyProcessor has the calling thread run wherever the process may. It began where the
// worker that started it runs, which may have a processor for itself alone.
void OnAnyProcessor() {
    cpu_set_t all;
    if ( sched_getaffinity(getpid(), sizeof all, &all) == 0 )
        sched_setaffinity(0, sizeof all, &all);
}

} // namespace

Workers::Workers(Settings s, Labels* labels) : settings(std::move(s)), labels(labels) {}

Workers::~Workers() { Stop(); }

Worker* Workers::Add() {
    std::lock_guard<std::mutex> hold(lock);
    workers.push_back(std::make_unique<Worker>(*this));
    if ( ! thread.joinable() ) {
        // Signals are the engine's.
        sigset_t all;
        sigset_t before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        try {
            thread = std::thread([this] { Run(); });
        }
        catch ( const std::system_error& ) {
            workers.pop_back();
        }
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        if ( workers.empty() )
            return nullptr;
    }
    return workers.back().get();
}

void Workers::Stop() {
    {
        std::lock_guard<std::mutex> hold(lock);
        stopping = true;
    }
    stop.notify_all();
    if ( ! thread.joinable() )
        return;
    thread.join();
    for ( auto& worker : workers )
        worker->Close();
}

void Workers::Run() {
    pthread_setname_np(pthread_self(), "serveflow");
    OnAnyProcessor();
    std::vector<Worker*> all;
    std::unique_lock<std::mutex> hold(lock);
    while ( ! stopping ) {
        for ( size_t i = all.size(); i < workers.size(); i++ )
            all.push_back(workers[i].get());
        hold.unlock();
        std::chrono::milliseconds rest{1000}; // where there are no workers yet
        for ( Worker* worker : all )
            rest = std::min(rest, worker->Tend());
        Look();
        hold.lock();
        stop.wait_for(hold, rest, [this] { return stopping; });
    }
}

void Workers::Want(const serveflow::Need& need) {
    auto bounded = [](uint64_t n, uint64_t most) { return static_cast<uint32_t>(std::min(n, most)); };
    wanted.packets.store(bounded(need.packets, 1024), std::memory_order_relaxed);
    wanted.raw_bytes.store(bounded(need.raw_bytes, max_raw), std::memory_order_relaxed);
    wanted.payload_bytes.store(bounded(need.payload_bytes, max_raw), std::memory_order_relaxed);
    // No label was looked for while packets were wanted also after it.
    if ( wanted.after_label.exchange(need.after_label, std::memory_order_relaxed) != need.after_label && labels )
        labels->NewRound();
}

// Over says whether the sidecar need not be told that a flow is over: the flow has its label,
// and nothing more of it is wanted.
bool Workers::Over(uint64_t flow) {
    return labels && labels->Over(flow) && ! wanted.after_label.load(std::memory_order_relaxed);
}

// Report says nothing twice in a row: workers lose and find the sidecar together.
void Workers::Report(const std::string& text) {
    {
        std::lock_guard<std::mutex> hold(telling);
        auto now = Clock::now();
        if ( text == said && now - said_at < std::chrono::seconds(10) )
            return;
        said = text;
        said_at = now;
    }
    if ( settings.report )
        settings.report(text);
}

void Workers::Look() {
    if ( ! labels || ! settings.look )
        return;
    auto now = Clock::now();
    if ( labels->Classes() == known && now - looked < std::chrono::seconds(1) )
        return;
    known = labels->Classes();
    looked = now;
    settings.look();
}

uint64_t Workers::Sum(uint64_t (Worker::*count)() const) const {
    std::lock_guard<std::mutex> hold(lock);
    uint64_t sum = 0;
    for ( const auto& worker : workers )
        sum += ((*worker).*count)();
    return sum;
}

} // namespace serveflow
