// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only

#include "Sender.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

namespace serveflow {

struct Sender::Line final : Link::Owner {
    explicit Line(Sender& sender) : sender(sender), worker(sender), link(*this) {
        link.Configure(sender.settings.link);
    }

    void OnLabel(const Label& label) override {
        if ( sender.labels )
            sender.labels->Keep(label);
    }
    void OnSocket(int) override {}
    void OnReport(const std::string& text) override { sender.Report(text); }

    Sender& sender;
    Worker worker;
    Link link;
};

Sender::Sender(Settings s, Labels* labels) : settings(std::move(s)), labels(labels) {
    kicked = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

Sender::~Sender() {
    Stop();
    if ( kicked >= 0 )
        close(kicked);
}

Worker* Sender::Add() {
    std::lock_guard<std::mutex> hold(lock);
    if ( kicked < 0 )
        return nullptr;
    lines.push_back(std::make_unique<Line>(*this));
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
            lines.pop_back();
        }
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        if ( lines.empty() )
            return nullptr;
    }
    return &lines.back()->worker;
}

void Sender::Kick() {
    uint64_t one = 1;
    [[maybe_unused]] auto n = write(kicked, &one, sizeof one);
}

void Sender::Stop() {
    stopping.store(true);
    Kick();
    if ( thread.joinable() )
        thread.join();
}

// Report says nothing twice in a row: workers lose and find the sidecar together.
void Sender::Report(const std::string& text) {
    auto now = Clock::now();
    if ( text == said && now - said_at < std::chrono::seconds(10) )
        return;
    said = text;
    said_at = now;
    if ( settings.report )
        settings.report(text);
}

void Sender::Run() {
    pthread_setname_np(pthread_self(), "serveflow");
    std::vector<Line*> all;
    while ( ! stopping.load() ) {
        {
            std::lock_guard<std::mutex> hold(lock);
            for ( size_t i = all.size(); i < lines.size(); i++ )
                all.push_back(lines[i].get());
        }
        for ( Line* line : all )
            Turn(*line);
        Count(all);
        Look();
        Rest(all);
    }
    for ( Line* line : all ) {
        {
            std::lock_guard<std::mutex> hold(line->worker.lock);
            line->link.Lost(line->worker.dropped + line->worker.count);
            line->worker.dropped = 0;
            line->worker.count = 0;
            line->worker.closed = true;
        }
        line->link.Close();
    }
    Count(all);
}

// Turn takes what the worker has, writes what the socket takes, and reads.
void Sender::Turn(Line& line) {
    Worker& w = line.worker;
    Link& link = line.link;
    auto kept = labels ? labels->Kept() : 0;
    const serveflow::Need& need = link.Wanted(); // connects
    if ( link.Welcomed() ) {
        wanted.packets.store(static_cast<uint32_t>(std::min<uint64_t>(need.packets, 1024)), std::memory_order_relaxed);
        wanted.raw_bytes.store(static_cast<uint32_t>(std::min<uint64_t>(need.raw_bytes, max_raw)),
                               std::memory_order_relaxed);
        wanted.payload_bytes.store(static_cast<uint32_t>(std::min<uint64_t>(need.payload_bytes, max_raw)),
                                   std::memory_order_relaxed);
        // No label was looked for while packets were wanted also after it.
        if ( wanted.after_label.exchange(need.after_label, std::memory_order_relaxed) != need.after_label && labels )
            labels->NewRound();
    }
    bool final = false;
    uint64_t asked = 0;
    Worker::Deadline until;
    {
        std::lock_guard<std::mutex> hold(w.lock);
        w.introduced = true;
        w.CloseDue();
        link.Lost(w.dropped);
        w.dropped = 0;
        if ( ! w.messages.Empty() && link.Adopt(w.messages, w.count, w.newest) )
            w.count = 0;
        if ( w.answered < w.asked && w.messages.Empty() ) {
            asked = w.asked;
            until = w.until;
            final = w.final;
        }
        w.changed.notify_all();
    }
    if ( asked > 0 ) {
        std::chrono::duration<double> left = until - std::chrono::steady_clock::now();
        bool synced = link.Sync(final, std::max(left.count(), 0.0));
        std::lock_guard<std::mutex> hold(w.lock);
        w.answered = asked;
        w.synced = synced;
        w.changed.notify_all();
    }
    else
        link.Flush();
    link.Read();
    if ( labels && labels->Kept() != kept )
        labels->NewRound();
}

// Look lets the owner look at what labels there are, when there are others, and once a
// second.
void Sender::Look() {
    if ( ! labels || ! settings.look )
        return;
    auto now = Clock::now();
    if ( labels->Classes() == known && now - looked < std::chrono::seconds(1) )
        return;
    known = labels->Classes();
    looked = now;
    settings.look();
}

// Rest waits for the next round: live for the time alone, so that labels do not
// wake the thread one by one.
void Sender::Rest(const std::vector<Line*>& lines) {
    std::vector<pollfd> fds{{kicked, POLLIN, 0}};
    if ( settings.link.hello.capture )
        for ( const Line* line : lines )
            if ( line->link.Socket() >= 0 )
                fds.push_back({line->link.Socket(), POLLIN, 0});
    poll(fds.data(), fds.size(), static_cast<int>(settings.rest.count()));
    uint64_t n = 0;
    if ( fds[0].revents != 0 ) [[maybe_unused]]
        auto got = read(kicked, &n, sizeof n);
}

void Sender::Count(const std::vector<Line*>& lines) {
    Counters sum;
    for ( const Line* line : lines ) {
        sum.sent += line->link.Count().sent;
        sum.dropped += line->link.Count().dropped;
    }
    sent.store(sum.sent, std::memory_order_relaxed);
    dropped.store(sum.dropped, std::memory_order_relaxed);
}

} // namespace serveflow
