#include "Link.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace serveflow {

namespace {

constexpr double max_backoff = 5;     // seconds between attempts to connect
constexpr double fault_backoff = 300; // seconds after an error that a new connection does not solve
constexpr double full_backoff = 0.01; // seconds until a full socket is tried again
constexpr size_t max_inbuf = 1 << 18; // longer than any message
constexpr size_t max_read = 1 << 16;  // at once; a sidecar may send all the time
constexpr size_t stats_room = 64;     // reserved for STATS, which report a full buffer

Clock::duration Seconds(double s) {
    return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(s));
}

std::string Why(int error) { return std::strerror(error); }

} // namespace

Link::~Link() {
    if ( fd >= 0 )
        close(fd);
}

// MakeRoom writes, or drops what came first where there is no sidecar.
bool Link::MakeRoom(size_t bytes) {
    if ( ! stopped )
        Flush();
    if ( Buffered() + bytes <= settings.buffer_bytes && ! stopped )
        return true;
    if ( fd < 0 && ! stopped && bytes <= settings.buffer_bytes ) {
        // Without a connection the newest messages are kept.
        counters.dropped += batch_messages;
        batch.Clear();
        batch_messages = 0;
        return true;
    }
    counters.dropped++;
    return false;
}

bool Link::Packet(const PacketInfo& p) {
    if ( ! Reserve(p.raw.size() + max_flow + stats_room) )
        return false;
    PackPacket(batch, p);
    newest = p.ts_us;
    Queued(newest);
    return true;
}

bool Link::End(const FlowName& flow, int64_t ts_us) {
    if ( ! Reserve(max_flow + stats_room) )
        return false;
    PackEnd(batch, flow, ts_us);
    Queued(std::max(ts_us, newest));
    return true;
}

// Tidy does what few messages need: it notes when a batch begins, adds STATS where they are
// due, and writes a batch that is full.
void Link::Tidy(int64_t ts_us, bool due) {
    if ( batch_messages == 1 )
        batch_start = Clock::now();
    if ( due ) {
        stats_due = ts_us + static_cast<int64_t>(stats_every);
        PackStats(batch, ts_us, counters.sent + batch_messages, counters.dropped);
        batch_messages++;
    }
    if ( batch.Size() >= settings.batch_bytes )
        Flush();
}

double Link::Due() const {
    if ( ! Pending() || stopped )
        return -1;
    auto now = Clock::now();
    auto at = std::max(retry_at, batch_start + settings.batch_interval);
    return std::max(0.0, std::chrono::duration<double>(at - now).count());
}

// Disconnect closes the connection: the messages in outbuf are counted as dropped, the
// batch is kept for the next connection.
void Link::Disconnect(const std::string& why, double wait) {
    if ( fd >= 0 ) {
        owner.OnSocket(-1);
        close(fd);
        fd = -1;
        owner.OnReport("the connection to the sidecar is closed: " + why);
    }
    counters.sent -= outbuf_messages;
    counters.dropped += outbuf_messages;
    outbuf.Clear();
    written = 0;
    outbuf_messages = 0;
    inbuf.clear();
    welcomed = false;
    retry_at = Clock::now() + Seconds(wait > 0 ? wait : backoff);
    backoff = std::min(backoff * 2, max_backoff);
}

// TimeOut closes the connection for good, so that a capture waits once and not for
// every flow.
void Link::TimeOut(const std::string& why) {
    stopped = true;
    if ( fd < 0 )
        owner.OnReport(why);
    Disconnect(why);
    counters.dropped += batch_messages;
    batch.Clear();
    batch_messages = 0;
}

bool Link::Connect() {
    if ( fd >= 0 )
        return true;
    if ( stopped || Clock::now() < retry_at )
        return false;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    int error = 0;
    int s = -1;
    if ( settings.socket.size() >= sizeof address.sun_path )
        error = ENAMETOOLONG;
    else {
        std::memcpy(address.sun_path, settings.socket.c_str(), settings.socket.size() + 1);
        s = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if ( s < 0 || connect(s, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 )
            error = errno;
    }
    if ( error != 0 ) {
        if ( s >= 0 )
            close(s);
        if ( ! absence_reported )
            owner.OnReport("no sidecar at " + settings.socket + " (" + Why(error) + "): trying again");
        absence_reported = true;
        Disconnect(Why(error));
        return false;
    }
    fd = s;
    owner.OnSocket(fd);
    PackHello(outbuf, settings.hello);
    if ( ! settings.hello.capture )
        return true;
    // A capture waits for WELCOME, so that every run sends the same.
    auto deadline = Clock::now() + Seconds(settings.patience);
    return Write(deadline) && Await([this] { return welcomed; }, deadline);
}

void Link::Flush() {
    if ( ! Pending() || Clock::now() < retry_at || ! Connect() )
        return;
    bool capture = settings.hello.capture;
    Write(capture ? Clock::now() + Seconds(settings.patience) : Clock::time_point{});
}

// Write writes outbuf and then the batch, and returns false if the connection was
// closed. Without a deadline it returns when the socket is full.
bool Link::Write(Clock::time_point deadline) {
    while ( Pending() ) {
        if ( written == outbuf.Size() ) {
            outbuf.Clear();
            outbuf.Swap(batch);
            written = 0;
            outbuf_messages = batch_messages;
            counters.sent += batch_messages;
            batch_messages = 0;
        }
        auto n = send(fd, outbuf.Data() + written, outbuf.Size() - written, MSG_NOSIGNAL);
        if ( n >= 0 ) {
            written += static_cast<size_t>(n);
            continue;
        }
        if ( errno == EINTR )
            continue;
        if ( errno != EAGAIN && errno != EWOULDBLOCK ) {
            auto why = Why(errno);
            // The sidecar may have sent an ERROR before it closed the connection.
            if ( Receive() )
                Disconnect(why);
            return false;
        }
        if ( deadline == Clock::time_point{} ) {
            retry_at = Clock::now() + Seconds(full_backoff);
            return true;
        }
        if ( ! Wait(POLLIN | POLLOUT, deadline) )
            return false;
    }
    outbuf.Clear();
    outbuf.Swap(batch); // the next messages use the same memory, which is in the caches
    written = 0;
    outbuf_messages = 0;
    return true;
}

// Wait waits for one of the events and reads what has arrived: if both ends only
// wrote, both would block.
bool Link::Wait(short events, Clock::time_point deadline) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd p{fd, events, 0};
    int n = left < 0 ? 0 : poll(&p, 1, static_cast<int>(std::min<int64_t>(left + 1, 1000)));
    if ( n < 0 && errno != EINTR ) {
        Disconnect(Why(errno));
        return false;
    }
    if ( n > 0 && (p.revents & ~POLLOUT) != 0 )
        return Receive();
    if ( n <= 0 && Clock::now() >= deadline ) {
        TimeOut("no answer in time");
        return false;
    }
    return true;
}

bool Link::Await(const std::function<bool()>& done, Clock::time_point deadline) {
    while ( ! done() )
        if ( ! Wait(POLLIN, deadline) )
            return false;
    return true;
}

bool Link::Read() { return fd >= 0 && Receive() && unread; }

// Receive handles the messages received, and returns false if the connection was closed.
bool Link::Receive() {
    unread = false;
    for ( size_t got = 0; got < max_read; ) {
        char chunk[16384];
        auto n = recv(fd, chunk, sizeof chunk, 0);
        if ( n < 0 && errno == EINTR )
            continue;
        if ( n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) )
            return true;
        if ( n <= 0 ) {
            Disconnect(n < 0 ? Why(errno) : "closed by the sidecar");
            return false;
        }
        inbuf.append(chunk, static_cast<size_t>(n));
        got += static_cast<size_t>(n);
        bool more = static_cast<size_t>(n) == sizeof chunk;

        std::string_view left = inbuf;
        Message m;
        size_t size = 0;
        Outcome outcome;
        while ( (outcome = Unpack(left, m, size)) == Outcome::Whole ) {
            left.remove_prefix(size);
            if ( ! Handle(m) )
                return false;
        }
        if ( outcome == Outcome::Bad || left.size() > max_inbuf ) {
            Disconnect("the sidecar does not speak the protocol", fault_backoff);
            return false;
        }
        inbuf.erase(0, inbuf.size() - left.size());
        if ( ! more )
            return true;
    }
    unread = true;
    return true;
}

// Handle handles one message, and returns false if the connection was closed.
bool Link::Handle(const Message& m) {
    switch ( m.kind ) {
        case Message::LabelKind:
            counters.labels++;
            owner.OnLabel(m.label);
            return true;
        case Message::WelcomeKind:
            need = m.need;
            if ( ! welcomed ) {
                welcomed = true;
                absence_reported = false;
                backoff = 1;
                counters.connects++;
                owner.OnReport("the sidecar wants " + std::to_string(need.packets) + " packets of a flow");
            }
            return true;
        case Message::SyncedKind: synced = m.token; return true;
        case Message::ErrorKind: {
            // The code of an ERROR says whether to connect again, and when.
            bool ours = m.code == 1 || m.code == 3;
            auto why = "the sidecar reports: " + std::string(m.text);
            stopped = m.code == 2 || m.code == 4;
            Disconnect(why, ours ? fault_backoff : 0);
            return false;
        }
        default: return true;
    }
}

bool Link::Sync(bool final, double seconds) {
    if ( ! Connect() )
        return false;
    auto deadline = Clock::now() + Seconds(seconds);
    PackSync(batch, ++token, final);
    batch_messages++;
    if ( ! Write(deadline) )
        return false;
    return Await([this] { return synced == token; }, deadline);
}

void Link::Close() {
    Read(); // closing with unread input would discard our last messages at the sidecar
    if ( fd >= 0 ) {
        owner.OnSocket(-1);
        close(fd);
        fd = -1;
    }
    stopped = true;
    counters.sent -= outbuf_messages;
    counters.dropped += batch_messages + outbuf_messages;
    batch.Clear();
    outbuf.Clear();
    written = 0;
    batch_messages = 0;
    outbuf_messages = 0;
}

} // namespace serveflow
