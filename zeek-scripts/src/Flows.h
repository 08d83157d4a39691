// The flows that were sent to the sidecar, and what becomes of their labels.

#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <zeek/EventRegistry.h>
#include <zeek/Tag.h>
#include <zeek/Val.h>
#include <zeek/iosource/IOSource.h>

#include "HeldRow.h"
#include "Link.h"
#include "Records.h"

namespace zeek {
class Connection;
}

namespace serveflow {

class Tap;

// A connection's uid, at most 23 characters.
class Uid {
public:
    explicit Uid(std::string_view s) : size(s.copy(text.data(), text.size())) {}
    operator std::string_view() const { return {text.data(), size}; }

private:
    std::array<char, 24> text;
    size_t size;
};

// A flow of which a packet was sent.
struct Flow {
    std::string_view uid;
    uint64_t number = 0;            // in order of first packets
    Tap* tap = nullptr;             // until the connection is over
    zeek::RecordValPtr conn;        // the connection's, as it was when the flow began or later
    std::optional<Verdict> verdict; // once the label came
    bool told = false;              // scripts and logs have it
    bool owed = false;              // the connection is over without a label, which has to come
    bool settled = false;           // conn.log's row is being written, or was
    HeldRow row;
};

// Flows tells scripts of labels by the event ServeFlow::label, and answers whether
// one is still to come. Live, labels are taken when they come. In captures they are
// read at SYNCs only, and told of in the order of the flows, so that every run is
// the same.
class Flows final : public Link::Owner, public zeek::iosource::IOSource {
public:
    // watch: see to it that Call is called for every call of a function of
    // scripts, or is not any more. No such call may be under way then.
    explicit Flows(std::function<void(bool)> watch);

    // Start reads the settings from the script level; before it, nothing is
    // tapped. capture: this is to wait for labels.
    void Start(const std::string& sensor, bool capture);
    bool Started() const { return started; }

    // Finish sends what waits and closes the connection.
    void Finish();

    const Need& Wanted() { return link.Wanted(); }
    zeek::Tag AnalyzerTag() const { return tag; }
    void SetAnalyzerTag(const zeek::Tag& t) { tag = t; }

    Flow* Open(Tap* tap);
    bool Send(Flow& flow, const PacketInfo& p);
    void Over(Flow& flow);

    // Settle is called before conn.log's row is written of a connection that owes
    // its label: it waits for it if that is the way now. Otherwise Call holds the
    // row, if it is to be.
    void Settle(std::string_view uid);
    // Call stands for a call of a function if it is to; then it returns what that does.
    std::optional<zeek::ValPtr> Call(const zeek::Func* func, zeek::Args* args);
    // Expired says that a held row was written without its label.
    void Expired(std::string_view uid);
    // Drain waits for labels that are owed, where the end has come.
    void Drain();

    const Counters& Count() const { return link.Count(); }
    uint64_t Late() const { return late; }
    uint64_t Lost() const { return lost; }

    // Of Link::Owner.
    void OnLabel(const Label& label) override;
    void OnSocket(int fd) override;
    void OnReport(const std::string& text) override;

    // Of IOSource.
    double GetNextTimeout() override;
    void Process() override;
    const char* Tag() override { return "ServeFlow"; }

private:
    struct Hash : std::hash<std::string_view> {
        using is_transparent = void;
    };
    struct Equal : std::equal_to<std::string_view> {
        using is_transparent = void;
    };
    // A flow is mostly out of the caches when it is looked up: all of it is in one place.
    using Table = std::unordered_map<Uid, Flow, Hash, Equal>;

    void Configure();
    void Ask(bool on);
    void Deliver();
    void Forget(Flow& flow);
    bool Sync(double seconds);
    double Patience();
    void Evict();

    Link link;
    std::function<void(bool)> watch;
    Records records;
    Settings settings;
    zeek::Tag tag;
    bool started = false;
    bool capture = false;
    int watched = -1;

    Table flows;
    uint64_t numbers = 0;
    std::vector<Flow*> arrived;                         // labelled, not yet told of
    std::vector<Flow*> telling;                         // of those, the ones that Deliver is at
    zeek::EventGroupPtr asking;                         // the handler that calls Settle
    uint64_t asked = 0;                                 // flows that it is on for
    std::deque<std::pair<double, std::string>> orphans; // settled without a label, by network time
    uint64_t late = 0;                                  // labels whose row was written
    uint64_t lost = 0;                                  // labels that were owed and did not come
    Clock::time_point end;                              // of waiting, once Zeek terminates
};

} // namespace serveflow
