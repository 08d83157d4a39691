// The buffered connection to the sidecar. A live tap never waits: bytes that the
// socket does not accept stay in the buffer, and messages that do not fit there are
// dropped and counted. A tap that reads a capture waits, with a time limit. This file
// does not depend on Zeek: Suricata's plugin is built from it, too.

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

// A monotonic clock, read in every iteration of an engine's loop. Where the system has
// a coarse one, it is used: a few ms stale, about five times cheaper.
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
    size_t buffer_bytes = 1 << 20;                    // bound of all buffered messages
    size_t batch_bytes = 1 << 15;                     // a batch of this size is written
    std::chrono::microseconds batch_interval{10'000}; // a smaller batch is written after this time
    double patience = 30;                             // seconds that a capture waits for the sidecar
};

// Counters of a Link since its construction.
struct Counters {
    uint64_t sent = 0;     // messages written to the socket
    uint64_t dropped = 0;  // messages dropped
    uint64_t labels = 0;   // LABELs received
    uint64_t connects = 0; // connections that the sidecar welcomed
};

class Link {
public:
    struct Owner {
        virtual ~Owner() = default;
        // OnLabel is called for each LABEL; its texts are valid during the call only.
        virtual void OnLabel(const Label& label) = 0;
        // OnSocket is called with the socket to poll for input, or -1 when it is closed.
        virtual void OnSocket(int fd) = 0;
        // OnReport is called with a message for the engine's log.
        virtual void OnReport(const std::string& text) = 0;
    };

    explicit Link(Owner& owner) : owner(owner) {}
    ~Link();
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;

    // Configure sets the settings of the next connection; those of the buffer apply at once.
    void Configure(Settings s) { settings = std::move(s); }

    // Wanted returns how much of each flow the sidecar wants. It connects first, so that
    // the answer is known before the first flow is sent.
    const Need& Wanted() {
        if ( fd < 0 )
            Connect();
        return need;
    }

    // LabelEnds reports whether nothing more of a flow is wanted once it has its label.
    bool LabelEnds() const { return ! need.after_label; }

    const Counters& Count() const { return counters; }

    // Packet and End buffer a message; ts_us is packet time, that of an END may be earlier
    // than that of the packets before. They return false if the message was dropped.
    bool Packet(const PacketInfo& p);
    bool End(const FlowName& flow, int64_t ts_us);

    // Socket returns the file descriptor, or -1.
    int Socket() const { return fd; }

    // Stopped reports whether the connection is closed for good.
    bool Stopped() const { return stopped; }

    // Welcomed reports whether the sidecar has answered on the present connection.
    bool Welcomed() const { return fd >= 0 && welcomed; }

    // Due returns the seconds until Flush has something to write; -1: the buffer is empty.
    double Due() const;

    // Flush writes as much of the buffer as the socket accepts. It connects first where
    // that is due.
    void Flush();

    // Read handles the messages received so far, without waiting, in 64 KiB at most. It
    // says whether there may be more.
    bool Read();

    // Sync waits until all labels due from the messages so far have arrived, for at most
    // the given seconds; it returns false if they have not. A final one ends all flows.
    bool Sync(bool final, double seconds);

    // Close closes the connection for good; buffered messages are counted as dropped.
    void Close();

private:
    // Reserve says whether there is room for a message of so many bytes.
    bool Reserve(size_t bytes) { return (! stopped && Buffered() + bytes <= settings.buffer_bytes) || MakeRoom(bytes); }

    // Queued counts the message just added.
    void Queued(int64_t ts_us) {
        // Time may go back, then it is due, too.
        bool due = static_cast<uint64_t>(stats_due) - 1 - static_cast<uint64_t>(ts_us) >= 2 * stats_every;
        if ( batch_messages++ == 0 || due || batch.Size() >= settings.batch_bytes )
            Tidy(ts_us, due);
    }

    static constexpr uint64_t stats_every = 1'000'000; // microseconds

    bool MakeRoom(size_t bytes);
    void Tidy(int64_t ts_us, bool due);
    bool Connect();
    void Disconnect(const std::string& why, double backoff = 0);
    bool Write(Clock::time_point deadline);
    bool Receive();
    bool Handle(const Message& m);
    bool Wait(short events, Clock::time_point deadline);
    bool Await(const std::function<bool()>& done, Clock::time_point deadline);
    void TimeOut(const std::string& why);
    bool Pending() const { return ! batch.Empty() || written < outbuf.Size(); }
    size_t Buffered() const { return batch.Size() + outbuf.Size() - written; }

    Owner& owner;
    Settings settings;
    Need need;
    Counters counters;

    int fd = -1;
    bool welcomed = false;
    bool stopped = false;          // closed for good
    bool absence_reported = false; // since the last connection

    Buffer batch;                  // messages not yet in outbuf
    uint64_t batch_messages = 0;   // their number
    Clock::time_point batch_start; // when the first of them was added
    Buffer outbuf;                 // messages being written
    size_t written = 0;            // bytes of outbuf written so far
    uint64_t outbuf_messages = 0;  // messages in outbuf
    std::string inbuf;             // received bytes of an incomplete message
    bool unread = false;           // more may have come than was read last
    int64_t newest = 0;            // time of the last packet
    int64_t stats_due = 0;         // packet time of the next STATS
    uint64_t token = 0;            // of the last SYNC sent
    uint64_t synced = 0;           // of the last SYNCED received

    double backoff = 1;         // seconds until the next attempt to connect
    Clock::time_point retry_at; // no attempt to connect or to write before
};

} // namespace serveflow
