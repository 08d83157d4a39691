// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only

#include "Texts.h"

#include <algorithm>
#include <cstring>

namespace serveflow {

namespace {

// Sequence is how many bytes the character at the beginning of s has, 0 if it is not
// well-formed UTF-8 (RFC 3629) or a control character.
size_t Sequence(std::string_view s) {
    auto byte = [&](size_t i) { return i < s.size() ? static_cast<uint8_t>(s[i]) : uint8_t{0}; };
    auto more = [&](size_t from, size_t to) {
        while ( from < to && (byte(from) & 0xc0) == 0x80 )
            from++;
        return from == to;
    };
    uint8_t first = byte(0);
    uint8_t second = byte(1);
    if ( first < 0x80 )
        return first >= 0x20 && first != 0x7f ? 1 : 0;
    if ( first >= 0xc2 && first <= 0xdf ) // U+0080 to U+009F are control characters
        return more(1, 2) && (first != 0xc2 || second >= 0xa0) ? 2 : 0;
    if ( first >= 0xe0 && first <= 0xef ) // not in more bytes than it takes, no surrogates
        return more(1, 3) && (first != 0xe0 || second >= 0xa0) && (first != 0xed || second < 0xa0) ? 3 : 0;
    if ( first >= 0xf0 && first <= 0xf4 )
        return more(1, 4) && (first != 0xf0 || second >= 0x90) && (first != 0xf4 || second < 0x90) ? 4 : 0;
    return 0;
}

// Quote writes a text as JSON does. False: it is no text of the protocol.
bool Quote(std::string_view s, std::string& quoted) {
    quoted = '"';
    while ( ! s.empty() ) {
        size_t n = Sequence(s);
        if ( n == 0 )
            return false;
        if ( s[0] == '"' || s[0] == '\\' )
            quoted += '\\';
        quoted.append(s, 0, n);
        s.remove_prefix(n);
    }
    quoted += '"';
    return true;
}

} // namespace

size_t Texts::Hash(std::string_view text) {
    uint64_t begin = 0;
    if ( ! text.empty() )
        std::memcpy(&begin, text.data(), std::min(text.size(), sizeof begin));
    return (begin + text.size()) * 0x9e3779b97f4a7c15U >> 56;
}

Texts::Number Texts::Find(std::string_view text) {
    auto& found = last[Hash(text)];
    if ( Is(found, text) )
        return found;
    for ( size_t n = 0; n < known; n++ )
        if ( Is(static_cast<Number>(n), text) )
            return found = static_cast<Number>(n);
    return Add(text);
}

Texts::Number Texts::Add(std::string_view text) {
    Text t;
    if ( known == most || text.size() > longest || ! Quote(text, t.quoted) )
        return none;
    t.plain = text;
    texts[known] = std::make_unique<Text>(std::move(t));
    return static_cast<Number>(known++);
}

} // namespace serveflow
