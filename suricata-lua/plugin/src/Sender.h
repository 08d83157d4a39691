// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//
// The thread that speaks to the sidecar, over a connection for each worker. Live it
// wakes up some fifty times a second, or when a worker has much to send, so that a
// system call is paid for once in many packets. Nothing here knows of Suricata.

#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "Labels.h"
#include "Link.h"
#include "Worker.h"

namespace serveflow {

// What is sent of a flow: the packets and bytes that the sidecar wants, and whether it
// wants packets also after the flow's label.
struct Wanted {
    std::atomic<uint32_t> packets{10};
    std::atomic<uint32_t> raw_bytes{192};
    std::atomic<uint32_t> payload_bytes{0};
    std::atomic<bool> after_label{false};
};

class Sender {
public:
    struct Settings {
        serveflow::Settings link;
        std::function<void(const std::string&)> report; // what a person should know
        std::function<void()> look;                     // called by the thread, see Look
        std::chrono::milliseconds rest{20};             // live, between two rounds

        std::chrono::duration<double> Patience() const { return std::chrono::duration<double>(link.patience); }
    };

    // Labels go to the table, which may be null.
    Sender(Settings settings, Labels* labels);
    ~Sender();
    Sender(const Sender&) = delete;
    Sender& operator=(const Sender&) = delete;

    // Add makes a worker, which lives as long as the sender. The first one starts
    // the thread. Null: the system does not let it.
    Worker* Add();

    // Kick makes the thread look at its workers now.
    void Kick();

    // Stop ends the thread; what waits is lost.
    void Stop();

    const Settings& Options() const { return settings; }
    const Wanted& Need() const { return wanted; }

    // Sums over all workers, some milliseconds late.
    uint64_t Sent() const { return sent.load(std::memory_order_relaxed); }
    uint64_t Dropped() const { return dropped.load(std::memory_order_relaxed); }

private:
    struct Line; // a worker and its connection

    void Run();
    void Turn(Line& line);
    void Rest(const std::vector<Line*>& lines);
    void Count(const std::vector<Line*>& lines);
    void Look();
    void Report(const std::string& text);

    Settings settings;
    Labels* labels;
    Wanted wanted;
    std::mutex lock; // of lines and thread
    std::vector<std::unique_ptr<Line>> lines;
    std::thread thread;
    std::atomic<bool> stopping{false};
    int kicked = -1;           // an eventfd
    std::string said;          // the last report,
    Clock::time_point said_at; // and when
    size_t known = 0;          // classes, when it looked last,
    Clock::time_point looked;  // and when
    std::atomic<uint64_t> sent{0};
    std::atomic<uint64_t> dropped{0};
};

} // namespace serveflow
