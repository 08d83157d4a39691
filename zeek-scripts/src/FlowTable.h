// The table of flows, by uid.

#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "Flow.h"

namespace serveflow {

class FlowTable {
public:
    // Open adds the flow of a tap's connection.
    Flow& Open(Tap* tap);

    // Find returns the flow, or null.
    Flow* Find(std::string_view uid);

    void Remove(const Flow& flow);

    // Expire sets the state to Logged, and bounds how many such flows are kept and how
    // long. It returns the number of flows removed for it.
    uint64_t Expire(Flow& flow);

    // Owed counts the flows whose connection is over and whose label has not arrived.
    uint64_t Owed() const;

private:
    struct Hash : std::hash<std::string_view> {
        using is_transparent = void;
    };
    struct Equal : std::equal_to<std::string_view> {
        using is_transparent = void;
    };

    // A flow is rarely in the CPU's caches when it is looked up: it is stored in one piece.
    std::unordered_map<Uid, Flow, Hash, Equal> flows;
    uint64_t opened = 0;
    std::deque<std::pair<double, std::string>> logged; // network time and uid
};

} // namespace serveflow
