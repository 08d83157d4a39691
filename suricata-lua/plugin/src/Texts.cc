// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only

#include "Texts.h"

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

// Quote adds a text as JSON writes it. False: it is no text of the protocol.
bool Quote(std::string_view s, std::string& to) {
    to += '"';
    while ( ! s.empty() ) {
        size_t n = Sequence(s);
        if ( n == 0 )
            return false;
        if ( s[0] == '"' || s[0] == '\\' )
            to += '\\';
        to.append(s, 0, n);
        s.remove_prefix(n);
    }
    to += '"';
    return true;
}

} // namespace

bool Class::Make(const Texts& texts) {
    label = texts[0];
    services = texts[1];
    std::string unused;
    begin = "\"serveflow\":{\"label\":";
    if ( ! Quote(label, begin) || ! Quote(services, unused) )
        return false;
    begin += ",\"score\":";
    return true;
}

bool Provenance::Make(const Texts& texts) {
    auto model = texts[1];
    auto at = model.rfind('@');
    auto version = at == std::string_view::npos ? std::string_view{} : model.substr(at + 1);
    stage = ",\"stage\":";
    if ( ! Quote(texts[0], stage) )
        return false;
    stage += ",\"packets\":";
    rest = ",\"model\":";
    if ( ! Quote(model.substr(0, at), rest) )
        return false;
    rest += ",\"version\":";
    if ( ! Quote(version, rest) )
        return false;
    rest += ",\"reason\":";
    return Quote(texts[2], rest);
}

} // namespace serveflow
