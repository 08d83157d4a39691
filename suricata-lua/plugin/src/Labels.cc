// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only

#include "Labels.h"

#include <algorithm>
#include <charconv>

namespace serveflow {

namespace {

// Shortest is the number with the fewest digits that is the same in 32 bits, as which
// a score is sent: so it is written as in the label log.
double Shortest(double score) {
    char text[64];
    auto end = std::to_chars(text, text + sizeof text, static_cast<float>(score)).ptr;
    double d = score;
    std::from_chars(text, end, d);
    return d;
}

} // namespace

Labels::Labels() : table(new Place[places]()) {}

Labels::~Labels() = default;

// Text is the one copy of a text, or null when there are too many.
const char* Labels::Text(std::string_view text) {
    for ( size_t i = 0; i < known; i++ )
        if ( *texts[i] == text )
            return texts[i]->c_str();
    // What C would cut short is no text of the protocol.
    if ( known == max_texts || text.find('\0') != std::string_view::npos )
        return nullptr;
    texts[known] = std::make_unique<std::string>(text);
    return texts[known++]->c_str();
}

void Labels::Keep(const Label& l) {
    auto at = l.model.rfind('@');
    auto version = at == std::string_view::npos ? std::string_view{} : l.model.substr(at + 1);
    Entry e;
    e.flow = l.number;
    e.latency_us = l.latency_us;
    e.label = Text(l.label);
    e.stage = Text(l.stage);
    e.model = Text(l.model.substr(0, at));
    e.version = Text(version);
    e.reason = Text(l.reason);
    e.score = Shortest(l.score);
    e.packets = static_cast<uint32_t>(std::min<uint64_t>(l.packets, UINT32_MAX));
    if ( ! l.flow.empty() || ! e.label || ! e.stage || ! e.model || ! e.version || ! e.reason ) {
        refused.fetch_add(1, std::memory_order_relaxed);
        return;
    }
    kept.fetch_add(1, std::memory_order_relaxed);
    size_t n = At(e.flow);
    std::lock_guard<std::mutex> hold(locks[n % stripes]);
    Place& place = table[n];
    auto* gives = std::find_if(place.begin(), place.end(), [&](const Entry& o) { return o.flow == e.flow && o.label; });
    if ( gives == place.end() )
        gives =
            std::find_if(place.rbegin(), place.rend(), [](const Entry& o) { return o.over || ! o.label; }).base() - 1;
    if ( gives < place.begin() )
        gives = place.end() - 1;
    std::move_backward(place.begin(), gives, gives + 1); // the newest stands first
    place.front() = e;
}

bool Labels::Find(uint64_t flow, Entry& entry) {
    size_t n = At(flow);
    std::lock_guard<std::mutex> hold(locks[n % stripes]);
    for ( const Entry& e : table[n] )
        if ( e.flow == flow && e.label ) {
            entry = e;
            return true;
        }
    return false;
}

bool Labels::Over(uint64_t flow) {
    size_t n = At(flow);
    std::lock_guard<std::mutex> hold(locks[n % stripes]);
    for ( Entry& e : table[n] )
        if ( e.flow == flow && e.label ) {
            e.over = true;
            return true;
        }
    return false;
}

} // namespace serveflow
