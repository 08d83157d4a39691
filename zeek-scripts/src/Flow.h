// A flow of which packets were sent, from its first packet to its published label.

#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include <zeek/Val.h>

#include "HeldRow.h"
#include "Records.h"

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

struct Flow {
    // A flow goes from Active through one of the paths
    //
    //     Active -> Labelled                  removed when the connection ends
    //     Active -> Ended -> EndedLabelled    removed when conn.log's row is written
    //     Active -> Ended -> Logged           removed with its label, or when that is overdue
    //
    // A flow that ends without a message of it having been sent is removed at once.
    enum class State : uint8_t {
        Active,        // the connection is alive, no label was published
        Labelled,      // the connection is alive, its label was published
        Ended,         // the connection is over, its label was not published
        EndedLabelled, // the connection is over, its label was published before its row of conn.log
        Logged,        // its row of conn.log is held, or was written without its label
    };

    std::string_view uid;
    uint64_t number = 0; // in order of first packets
    State state = State::Active;
    Tap* tap = nullptr;             // until the connection is over
    zeek::RecordValPtr conn;        // the connection's record
    std::optional<Verdict> verdict; // once the label has arrived
    HeldRow row;

    // Owed reports whether the connection is over and its label has not arrived.
    bool Owed() const { return ! verdict && (state == State::Ended || state == State::Logged); }
};

} // namespace serveflow
