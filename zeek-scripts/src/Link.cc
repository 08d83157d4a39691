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

constexpr double longest_pause = 5;        // seconds between attempts to connect
constexpr double fault_pause = 300;        // after a fault that connecting again does not mend
constexpr double full_pause = 0.01;        // before a full socket is tried again
constexpr size_t max_inbox = 1 << 18;      // no message is that long
constexpr int64_t stats_every = 1'000'000; // microseconds
constexpr size_t stats_room = 64;          // of the buffer, so that a full one is told of

Clock::duration Seconds(double s) {
    return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(s));
}

std::string Why(int error) { return std::strerror(error); }

} // namespace

Link::~Link() {
    if ( fd >= 0 )
        close(fd);
}

bool Link::Room(size_t bytes) {
    if ( stopped ) {
        counters.dropped++;
        return false;
    }
    if ( Buffered() + bytes <= settings.buffer_bytes )
        return true;
    Flush();
    if ( Buffered() + bytes <= settings.buffer_bytes && ! stopped )
        return true;
    if ( fd < 0 ) {
        // Of what waits for a sidecar to come, the newest is worth most.
        counters.dropped += waiting;
        batch.Clear();
        waiting = 0;
        return bytes <= settings.buffer_bytes && ! stopped;
    }
    counters.dropped++;
    return false;
}

bool Link::Packet(const PacketInfo& p) {
    if ( ! Room(p.raw.size() + max_flow + stats_room) )
        return false;
    PackPacket(batch, p);
    Added(1, p.ts_us);
    return true;
}

bool Link::End(const FlowName& flow, int64_t ts_us) {
    if ( ! Room(max_flow + stats_room) )
        return false;
    PackEnd(batch, flow, ts_us);
    Added(1, ts_us);
    return true;
}

bool Link::Adopt(Buffer& messages, uint64_t count, int64_t ts_us) {
    if ( stopped ) {
        counters.dropped += count;
        messages.Clear();
        return true;
    }
    if ( Buffered() + messages.Size() + stats_room > settings.buffer_bytes ) {
        if ( fd >= 0 )
            return false;
        counters.dropped += waiting; // the newest is worth most
        batch.Clear();
        waiting = 0;
    }
    if ( batch.Empty() )
        batch.Swap(messages);
    else
        batch.Add(messages);
    messages.Clear();
    Added(count, ts_us);
    return true;
}

// Added counts the messages just added, and writes the batch if it is large enough.
void Link::Added(uint64_t count, int64_t ts_us) {
    if ( waiting == 0 )
        since = Clock::now();
    waiting += count;
    if ( ts_us >= stats_due || ts_us < stats_due - 2 * stats_every ) {
        stats_due = ts_us + stats_every;
        PackStats(batch, ts_us, counters.sent + waiting, counters.dropped);
        waiting++;
    }
    if ( batch.Size() >= settings.batch_bytes )
        Flush();
}

double Link::Due() const {
    if ( ! Pending() || stopped )
        return -1;
    auto now = Clock::now();
    auto at = std::max(idle_until, since + settings.batch_interval);
    return std::max(0.0, std::chrono::duration<double>(at - now).count());
}

// Lose gives up the connection: what was being written is lost and counted, what
// waits is kept for the next one.
void Link::Lose(const std::string& why, double wait) {
    if ( fd >= 0 ) {
        owner.OnSocket(-1);
        close(fd);
        fd = -1;
        owner.OnReport("the connection to the sidecar is over: " + why);
    }
    counters.sent -= aboard;
    counters.dropped += aboard;
    flight.Clear();
    flown = 0;
    aboard = 0;
    inbox.clear();
    welcomed = false;
    idle_until = Clock::now() + Seconds(wait > 0 ? wait : pause);
    pause = std::min(pause * 2, longest_pause);
}

// GiveUp ends a capture's patience: once, not again for every flow.
void Link::GiveUp(const std::string& why) {
    stopped = true;
    if ( fd < 0 )
        owner.OnReport(why);
    Lose(why);
    counters.dropped += waiting;
    batch.Clear();
    waiting = 0;
}

bool Link::Connect() {
    if ( fd >= 0 )
        return true;
    if ( stopped || Clock::now() < idle_until )
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
        if ( ! absent )
            owner.OnReport("no sidecar at " + settings.socket + " (" + Why(error) + "): trying again");
        absent = true; // say it once
        Lose(Why(error));
        return false;
    }
    fd = s;
    owner.OnSocket(fd);
    PackHello(flight, settings.hello);
    if ( ! settings.hello.capture )
        return true;
    // A capture can wait for what is wanted, and so send the same each time.
    auto deadline = Clock::now() + Seconds(settings.patience);
    return Write(deadline) && Await([this] { return welcomed; }, deadline);
}

void Link::Flush() {
    if ( ! Pending() || Clock::now() < idle_until || ! Connect() )
        return;
    bool capture = settings.hello.capture;
    Write(capture ? Clock::now() + Seconds(settings.patience) : Clock::time_point{});
}

// Write writes what is in flight, and then what waits, and says whether the
// connection goes on. Without a deadline it leaves what the socket does not take.
bool Link::Write(Clock::time_point deadline) {
    while ( Pending() ) {
        if ( flown == flight.Size() ) {
            flight.Clear();
            flight.Swap(batch);
            flown = 0;
            aboard = waiting;
            counters.sent += waiting;
            waiting = 0;
        }
        auto n = send(fd, flight.Data() + flown, flight.Size() - flown, MSG_NOSIGNAL);
        if ( n >= 0 ) {
            flown += static_cast<size_t>(n);
            continue;
        }
        if ( errno == EINTR )
            continue;
        if ( errno != EAGAIN && errno != EWOULDBLOCK ) {
            auto why = Why(errno);
            // The reason may have been said before the connection was closed.
            if ( Receive() )
                Lose(why);
            return false;
        }
        if ( deadline == Clock::time_point{} ) {
            idle_until = Clock::now() + Seconds(full_pause);
            return true;
        }
        if ( ! Wait(POLLIN | POLLOUT, deadline) )
            return false;
    }
    flight.Clear();
    flown = 0;
    aboard = 0;
    return true;
}

// Wait waits until one of the events comes, and reads what does: if both ends
// only wrote, both would stand still.
bool Link::Wait(short events, Clock::time_point deadline) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd p{fd, events, 0};
    int n = left < 0 ? 0 : poll(&p, 1, static_cast<int>(std::min<int64_t>(left + 1, 1000)));
    if ( n < 0 && errno != EINTR ) {
        Lose(Why(errno));
        return false;
    }
    if ( n > 0 && (p.revents & ~POLLOUT) != 0 )
        return Receive();
    if ( n <= 0 && Clock::now() >= deadline ) {
        GiveUp("it did not answer in time");
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

void Link::Read() {
    if ( fd >= 0 )
        Receive();
}

// Receive takes all that has come, and says whether the connection goes on.
bool Link::Receive() {
    for ( ;; ) {
        char chunk[16384];
        auto n = recv(fd, chunk, sizeof chunk, 0);
        if ( n < 0 && errno == EINTR )
            continue;
        if ( n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) )
            return true;
        if ( n <= 0 ) {
            Lose(n < 0 ? Why(errno) : "it closed it");
            return false;
        }
        inbox.append(chunk, static_cast<size_t>(n));
        bool more = static_cast<size_t>(n) == sizeof chunk;

        std::string_view left = inbox;
        Message m;
        size_t size = 0;
        Outcome outcome;
        while ( (outcome = Unpack(left, m, size)) == Outcome::Whole ) {
            left.remove_prefix(size);
            if ( ! Hear(m) )
                return false;
        }
        if ( outcome == Outcome::Bad || left.size() > max_inbox ) {
            Lose("it does not speak the protocol", fault_pause);
            return false;
        }
        inbox.erase(0, inbox.size() - left.size());
        if ( ! more )
            return true;
    }
}

// Hear takes one message, and says whether the connection goes on.
bool Link::Hear(const Message& m) {
    switch ( m.kind ) {
        case Message::LabelKind:
            counters.labels++;
            owner.OnLabel(m.label);
            return true;
        case Message::WelcomeKind:
            need = m.need;
            if ( ! welcomed ) {
                welcomed = true;
                absent = false;
                pause = 1;
                counters.connects++;
                owner.OnReport("the sidecar wants " + std::to_string(need.packets) + " packets of a flow");
            }
            return true;
        case Message::SyncedKind: synced = m.token; return true;
        case Message::ErrorKind: {
            // What an ERROR asks for: some are for ever, some for long.
            bool mine = m.code == 1 || m.code == 3;
            auto why = "it says: " + std::string(m.text);
            stopped = m.code == 2 || m.code == 4;
            Lose(why, mine ? fault_pause : 0);
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
    waiting++;
    if ( ! Write(deadline) )
        return false;
    return Await([this] { return synced == token; }, deadline);
}

void Link::Close() {
    Read(); // what is left unread when it closes would cost the sidecar our last messages
    if ( fd >= 0 ) {
        owner.OnSocket(-1);
        close(fd);
        fd = -1;
    }
    stopped = true;
    counters.sent -= aboard;
    counters.dropped += waiting + aboard;
    batch.Clear();
    flight.Clear();
    flown = 0;
    waiting = 0;
    aboard = 0;
}

} // namespace serveflow
