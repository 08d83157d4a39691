// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//
// The workers, what they share, and a thread that wakes up a few times a second and
// tends those that have nothing to send. Nothing here knows of Suricata.

#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
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

class Workers {
public:
    struct Settings {
        serveflow::Settings link;
        std::function<void(const std::string&)> report; // what a person should know
        std::function<void()> look;                     // by the thread, where labels are new, and once a second
    };

    // Labels go to the table, which may be null.
    Workers(Settings settings, Labels* labels);
    ~Workers();
    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;

    // Add makes a worker, which lives as long as Workers. The first one starts
    // the thread. Null: the system does not let it.
    Worker* Add();

    // Stop ends the thread and the connections; what waits is lost.
    void Stop();

    const Settings& Options() const { return settings; }
    const Wanted& Need() const { return wanted; }

    // Sums over all workers, some tenths of a second late.
    uint64_t Sent() const { return Sum(&Worker::Sent); }
    uint64_t Dropped() const { return Sum(&Worker::Dropped); }

private:
    friend class Worker;

    // What workers say, any of them at any time.
    void Want(const serveflow::Need& need);
    bool Over(uint64_t flow);
    void Report(const std::string& text);

    void Run();
    void Look();
    uint64_t Sum(uint64_t (Worker::*count)() const) const;

    Settings settings;
    Labels* labels;
    Wanted wanted;
    mutable std::mutex lock; // of what follows
    std::vector<std::unique_ptr<Worker>> workers;
    std::thread thread;
    bool stopping = false;
    std::condition_variable stop;
    std::mutex telling;        // lock of the next two
    std::string said;          // the last report,
    Clock::time_point said_at; // and when
    size_t known = 0;          // classes, when the thread looked last,
    Clock::time_point looked;  // and when
};

} // namespace serveflow
