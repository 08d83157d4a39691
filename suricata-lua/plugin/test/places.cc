// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//
// The table of labels, where flows share a place, for the Go tests in test/suricata:
// which label gives way, and that no flow is given that of another. It says what is
// wrong.

#include <cstdio>
#include <numeric>
#include <string>
#include <vector>

#include "Labels.h"

using namespace serveflow;

namespace {

int wrong = 0;

// Flow is an id whose hash is the one given.
uint64_t Flow(uint64_t hash) {
    constexpr uint64_t golden = 0x9e3779b97f4a7c15U;
    uint64_t inverse = golden;
    for ( int i = 0; i < 6; i++ )
        inverse *= 2 - golden * inverse;
    return hash * inverse;
}

// Want labels flows by their number, one after the other; with a negative number, that
// flow is over. It holds which of them have a label against those that are left.
void Want(const char* what, const std::vector<uint64_t>& flows, const std::vector<int>& order,
          const std::vector<int>& left) {
    Labels labels;
    Labels::Coming coming(labels);
    for ( int n : order ) {
        if ( n < 0 )
            coming.Keep();
        auto flow = flows[static_cast<size_t>(n < 0 ? -n : n)];
        if ( n < 0 && ! labels.Over(flow) ) {
            std::printf("%s: %d has no label and should be over\n", what, -n);
            wrong++;
        }
        if ( n < 0 )
            continue;
        Label l;
        auto name = std::to_string(n);
        l.number = flow;
        l.label = name;
        l.packets = static_cast<uint64_t>(n);
        coming.Add(l);
    }
    coming.Keep();
    std::string found;
    for ( size_t n = 0; n < flows.size(); n++ ) {
        Labels::Entry e;
        if ( ! labels.Find(flows[n], e) )
            continue;
        found += std::to_string(n) + " ";
        if ( e.packets != n || labels.ClassOf(e).label != std::to_string(n) ) {
            std::printf("%s: %zu has the label of another\n", what, n);
            wrong++;
        }
    }
    std::string wanted;
    for ( int n : left )
        wanted += std::to_string(n) + " ";
    if ( found != wanted ) {
        std::printf("%s: left are %s, and should be %s\n", what, found.c_str(), wanted.c_str());
        wrong++;
    }
}

} // namespace

int main() {
    std::vector<uint64_t> apart;  // that share a place
    std::vector<uint64_t> alike;  // and the bits of the hash that the place has of them
    std::vector<uint64_t> unlike; // and that share nothing
    for ( uint64_t n = 0; n < 8; n++ ) {
        apart.push_back(Flow(uint64_t{0xabcd} << 48 | n << 36));
        alike.push_back(Flow(uint64_t{0xabcd} << 48 | n));
    }
    std::vector<int> many(20); // more than are on their way to the table at once
    std::iota(many.begin(), many.end(), 0);
    for ( int n : many )
        unlike.push_back(Flow(static_cast<uint64_t>(n) << 48));
    for ( const auto& flows : {apart, alike} ) {
        Want("none", flows, {}, {});
        Want("room for all", flows, {0, 1, 2, 3}, {0, 1, 2, 3});
        Want("the oldest goes", flows, {0, 1, 2, 3, 4, 5}, {2, 3, 4, 5});
        Want("all others", flows, {0, 1, 2, 3, 4, 5, 6, 7}, {4, 5, 6, 7});
        Want("one that is over goes first", flows, {0, 1, 2, 3, -2, 4}, {0, 1, 3, 4});
        Want("the oldest that is over", flows, {0, 1, 2, 3, -3, -1, 4, 5, 6}, {2, 4, 5, 6});
        Want("a second label counts as new", flows, {0, 1, 2, 3, 0, 4}, {0, 2, 3, 4});
        Want("a flow with a second label is not over", flows, {0, 1, 2, 3, -3, 3, 4}, {1, 2, 3, 4});
        Want("a second label takes no other place", flows, {0, 1, 1, 1, 1, 2, 3}, {0, 1, 2, 3});
    }
    Want("places of their own", unlike, many, many);
    return wrong > 0;
}
