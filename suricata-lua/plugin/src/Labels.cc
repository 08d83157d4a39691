// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only

#include "Labels.h"

#include <algorithm>
#include <cmath>

namespace serveflow {

void Labels::Keep(const Label& l) {
    auto at = l.model.rfind('@');
    auto version = at == std::string_view::npos ? std::string_view{} : l.model.substr(at + 1);
    Entry e;
    e.flow = l.number;
    e.latency_us = l.latency_us;
    e.score = static_cast<float>(l.score);
    e.margin = static_cast<float>(l.margin);
    e.packets = static_cast<uint32_t>(std::min<uint64_t>(l.packets, UINT32_MAX));
    e.label = texts.Find(l.label);
    e.stage = texts.Find(l.stage);
    e.model = texts.Find(l.model.substr(0, at));
    e.version = texts.Find(version);
    e.reason = texts.Find(l.reason);
    e.services = texts.Find(l.services);
    constexpr auto none = Texts::none;
    if ( ! l.flow.empty() || e.label == none || e.stage == none || e.model == none || e.version == none ||
         e.reason == none || e.services == none || ! std::isfinite(e.score) || ! std::isfinite(e.margin) ) {
        refused.fetch_add(1, std::memory_order_relaxed);
        return;
    }
    kept.fetch_add(1, std::memory_order_relaxed);
    size_t n = At(e.flow);
    std::lock_guard<std::mutex> hold(locks[n % stripes]);
    Place& place = table[n];
    auto* gives =
        std::find_if(place.begin(), place.end(), [&](const Entry& o) { return o.flow == e.flow && o.label != none; });
    if ( gives == place.end() )
        gives = std::find_if(place.rbegin(), place.rend(), [](const Entry& o) { return o.over || o.label == none; })
                    .base() -
                1;
    if ( gives < place.begin() )
        gives = place.end() - 1;
    std::move_backward(place.begin(), gives, gives + 1); // the newest stands first
    place.front() = e;
}

bool Labels::Find(uint64_t flow, Entry& entry) {
    size_t n = At(flow);
    std::lock_guard<std::mutex> hold(locks[n % stripes]);
    for ( const Entry& e : table[n] )
        if ( e.flow == flow && e.label != Texts::none ) {
            entry = e;
            return true;
        }
    return false;
}

bool Labels::Over(uint64_t flow) {
    size_t n = At(flow);
    std::lock_guard<std::mutex> hold(locks[n % stripes]);
    for ( Entry& e : table[n] )
        if ( e.flow == flow && e.label != Texts::none ) {
            e.over = true;
            return true;
        }
    return false;
}

} // namespace serveflow
