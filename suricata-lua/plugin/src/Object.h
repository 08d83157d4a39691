// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//
// The object "serveflow" of a record of EVE, as text: Suricata's functions for each of
// its members cost ten times as much. Nothing here knows of Suricata.

#pragma once

#include <array>
#include <string_view>

#include "Labels.h"

namespace serveflow {

class Object {
public:
    // Write makes it of a label: all of it for the record of a flow, else the label and
    // the score alone. Protocol is the name that Suricata gives to the flow's, or null.
    void Write(const Labels& labels, const Labels::Entry& entry, bool all, const char* protocol);

    // Text is "serveflow":{...}, with nothing before or after it.
    const char* Text() const { return text.data(); }

private:
    void Add(std::string_view s);
    void AddInteger(int64_t n);
    void AddShare(float share);

    // Twice the bytes of each text, should all have to be escaped, and what is between.
    std::array<char, 4 * (2 * longest_text + 2) + 512> text;
    char* at = nullptr;
};

} // namespace serveflow
