// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only

#include "Object.h"

#include <charconv>
#include <cstring>

namespace serveflow {

namespace {

// Lists says whether a name is one of those of a list, which commas separate.
bool Lists(std::string_view list, std::string_view name) {
    while ( ! list.empty() ) {
        auto one = list.substr(0, list.find(','));
        if ( one == name )
            return true;
        list.remove_prefix(std::min(one.size() + 1, list.size()));
    }
    return false;
}

} // namespace

void Object::Add(std::string_view s) {
    std::memcpy(at, s.data(), s.size());
    at += s.size();
}

void Object::AddInteger(int64_t n) { at = std::to_chars(at, text.data() + text.size(), n).ptr; }

// AddShare writes a number with the fewest digits that are the same in 32 bits, as the
// label log does. Seven or eight decimals are enough for most shares, and are found at
// a fifth of what to_chars needs.
void Object::AddShare(float share) {
    constexpr uint32_t whole = 100'000'000;
    auto same = [&](uint32_t n) { return static_cast<float>(n / double{whole}) == share; };
    auto n = share >= 0 && share <= 1 ? static_cast<uint32_t>(share * double{whole} + 0.5) : 0;
    if ( ! same(n) ) {
        at = std::to_chars(at, text.data() + text.size(), share).ptr;
        return;
    }
    if ( auto shorter = (n + 5) / 10 * 10; same(shorter) )
        n = shorter;
    *at++ = static_cast<char>('0' + n / whole);
    n %= whole;
    if ( n == 0 )
        return;
    *at++ = '.';
    int digits = 8;
    for ( ; n % 10 == 0; n /= 10 )
        digits--;
    for ( int i = digits; i-- > 0; n /= 10 )
        at[i] = static_cast<char>('0' + n % 10);
    at += digits;
}

void Object::Write(const Labels& labels, const Labels::Entry& e, bool all, const char* protocol) {
    const Class& name = labels.ClassOf(e);
    at = text.data();
    Add(name.begin);
    AddShare(e.score);
    if ( all ) {
        const Provenance& provenance = labels.ProvenanceOf(e);
        Add(",\"margin\":");
        AddShare(e.margin);
        Add(provenance.stage);
        AddInteger(e.packets);
        Add(",\"latency_us\":");
        AddInteger(e.latency_us);
        Add(provenance.rest);
    }
    // Where Suricata found no protocol, it says so by these names.
    std::string_view found = protocol ? protocol : "";
    if ( ! name.services.empty() && ! found.empty() && found != "failed" && found != "unknown" )
        Add(Lists(name.services, found) ? ",\"agrees\":true" : ",\"agrees\":false");
    Add({"}", 2}); // and what ends a text in C
}

} // namespace serveflow
