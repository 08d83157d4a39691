// Messages of the sidecar (docs/protocol.md), read out of bytes that may be cut
// anywhere and that nobody vouches for. Nothing here knows of Zeek.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace serveflow {

// LABEL: the one decision of a flow. The texts point into what was read.
struct Label {
    std::string_view flow; // empty where a number names the flow
    uint64_t number = 0;
    std::string_view label;
    double score = 0;
    std::string_view stage;
    uint64_t packets = 0;
    int64_t latency_us = 0;
    std::string_view model;
    std::string_view reason;
    std::string_view services; // names of protocols that go together with the label, separated by commas
    double margin = 0;         // the score minus that of the next class
};

// WELCOME: what is wanted of each flow. Until it came, what the protocol allows.
struct Need {
    uint64_t packets = 10;
    uint64_t raw_bytes = 192;
    uint64_t payload_bytes = 0;
};

// One message of the sidecar; kind says which fields count.
struct Message {
    enum Kind : uint8_t { Other, LabelKind, WelcomeKind, SyncedKind, ErrorKind };

    Kind kind = Other;
    Label label;
    Need need;
    uint64_t token = 0; // of SYNCED
    uint64_t code = 0;  // of ERROR
    std::string_view text;
};

enum class Outcome : uint8_t {
    Whole, // a message was read
    Cut,   // the bytes end before it does
    Bad,   // this is not the protocol
};

// Unpack reads the first message of in and says how many bytes it has. Messages
// of a kind it does not know are Other; fields behind the last one it knows are
// passed over.
Outcome Unpack(std::string_view in, Message& message, size_t& size);

} // namespace serveflow
