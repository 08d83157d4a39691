// The connection to the sidecar, with its buffer. Live it never waits: what the
// socket does not take stays in the buffer, and what the buffer does not take is
// dropped and counted, whole messages at a time. Whoever reads a capture waits,
// with a time limit. Nothing here knows of Zeek: Suricata's plugin is built from it,
// too.

#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <functional>
#include <string>

#include "Pack.h"
#include "Unpack.h"

namespace serveflow {

// A steady clock, read at every turn of an engine's loop. Where there is one, it is a
// clock that is some milliseconds late and costs a fifth.
struct Clock {
    using duration = std::chrono::nanoseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<Clock>;
    static constexpr bool is_steady = true;

    static time_point now() {
#ifdef CLOCK_MONOTONIC_COARSE
        constexpr auto clock = CLOCK_MONOTONIC_COARSE;
#else
        constexpr auto clock = CLOCK_MONOTONIC;
#endif
        timespec t{};
        clock_gettime(clock, &t);
        return time_point(std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec));
    }
};

struct Settings {
    std::string socket;
    Hello hello;
    size_t buffer_bytes = 1 << 20;                    // that may wait for a slow or absent sidecar
    size_t batch_bytes = 1 << 15;                     // that are written at once
    std::chrono::microseconds batch_interval{10'000}; // after which less than that is written
    double patience = 30;                             // seconds that a capture waits for the sidecar
};

// What a Link counts, since it was made.
struct Counters {
    uint64_t sent = 0;     // messages that went to the socket
    uint64_t dropped = 0;  // messages that did not
    uint64_t labels = 0;   // LABELs that came
    uint64_t connects = 0; // connections that the sidecar welcomed
};

class Link {
public:
    struct Owner {
        virtual ~Owner() = default;
        // A LABEL came; its texts are gone when this returns.
        virtual void OnLabel(const Label& label) = 0;
        // The socket to watch for what comes, or -1 when there is none any more.
        virtual void OnSocket(int fd) = 0;
        // What a person should know.
        virtual void OnReport(const std::string& text) = 0;
    };

    explicit Link(Owner& owner) : owner(owner) {}
    ~Link();
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;

    // Settings hold from the next connection on; those of the buffer at once.
    void Configure(Settings s) { settings = std::move(s); }

    // What is wanted of each flow. It connects if that has not been done: the
    // answer is to be known before the first flow is sent.
    const Need& Wanted() {
        if ( fd < 0 )
            Connect();
        return need;
    }
    const Counters& Count() const { return counters; }

    // Messages for the sidecar; ts_us is the packets' clock. False: dropped.
    bool Packet(const PacketInfo& p);
    bool End(const FlowName& flow, int64_t ts_us);

    // Adopt takes so many messages that somebody else has packed, and leaves the
    // buffer empty. False: there is no room for them now.
    bool Adopt(Buffer& messages, uint64_t count, int64_t ts_us);

    // Lost counts messages that were dropped before they came here.
    void Lost(uint64_t count) { counters.dropped += count; }

    // The socket, or -1.
    int Socket() const { return fd; }

    // Stopped says whether the connection is over for good.
    bool Stopped() const { return stopped; }

    // Welcomed says whether there is a connection that answers.
    bool Welcomed() const { return fd >= 0 && welcomed; }

    // Seconds until Flush has something to do; -1: nothing waits.
    double Due() const;

    // Flush writes what waits as far as the socket takes it, having connected
    // if the time for that has come.
    void Flush();

    // Read takes what has come, without waiting.
    void Read();

    // Sync waits for the labels due from all that was added, for at most so many
    // seconds. A final one ends all flows. False: they did not come.
    bool Sync(bool final, double seconds);

    // Close ends the connection for good; what still waits is counted dropped.
    void Close();

private:
    bool Room(size_t bytes);
    void Added(uint64_t count, int64_t ts_us);
    bool Connect();
    void Lose(const std::string& why, double pause = 0);
    bool Write(Clock::time_point deadline);
    bool Receive();
    bool Hear(const Message& m);
    bool Wait(short events, Clock::time_point deadline);
    bool Await(const std::function<bool()>& done, Clock::time_point deadline);
    void GiveUp(const std::string& why);
    bool Pending() const { return ! batch.Empty() || flown < flight.Size(); }
    size_t Buffered() const { return batch.Size() + flight.Size() - flown; }

    Owner& owner;
    Settings settings;
    Need need;
    Counters counters;

    int fd = -1;
    bool welcomed = false;
    bool stopped = false; // for good
    bool absent = false;  // and this was said

    Buffer batch;            // messages that wait
    uint64_t waiting = 0;    // how many
    Buffer flight;           // bytes being written,
    size_t flown = 0;        // how many of them are,
    uint64_t aboard = 0;     // and the messages in them
    std::string inbox;       // bytes that are no whole message yet
    Clock::time_point since; // when the batch got its first message
    int64_t stats_due = 0;   // packets' clock
    uint64_t token = 0;      // of the last SYNC,
    uint64_t synced = 0;     // and of the last SYNCED

    double pause = 1;             // seconds before the next attempt to connect,
    Clock::time_point idle_until; // which is not before this, nor is the next write
};

} // namespace serveflow
