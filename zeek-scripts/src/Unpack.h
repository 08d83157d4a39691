// Decodes the messages of the sidecar (docs/protocol.md) from untrusted bytes that may
// be truncated anywhere. This file does not depend on Zeek.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace serveflow {

// LABEL: the one decision on a flow. The texts point into the input.
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
    std::string_view services; // protocols that fit the label, separated by commas
    double margin = 0;         // the score minus that of the next class
};

// WELCOME: how much of each flow the sidecar wants. The defaults apply before it.
struct Need {
    uint64_t packets = 10;
    uint64_t raw_bytes = 192;
    uint64_t payload_bytes = 0;
    bool after_label = false; // packets are wanted also after a flow's LABEL
};

// One message of the sidecar; kind says which fields are set.
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
    Cut,   // the input ends before the message does
    Bad,   // the input is not the protocol
};

// Unpack reads the first message of in and sets size to its length in bytes. Messages of
// unknown types are Other; unknown trailing fields are skipped.
Outcome Unpack(std::string_view in, Message& message, size_t& size);

} // namespace serveflow
