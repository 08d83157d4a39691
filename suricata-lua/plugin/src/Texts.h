// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//
// The texts of LABELs, each once: labels, stages, bundles and reasons are few. Nothing
// here knows of Suricata.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace serveflow {

class Texts {
public:
    using Number = uint16_t;

    struct Text {
        std::string plain;
        std::string quoted; // as JSON writes it
    };

    static constexpr size_t most = 1024;
    static constexpr size_t longest = 256; // of bytes that the protocol permits
    static constexpr Number none = UINT16_MAX;

    // Find is the number of a text. None: it is no text of the protocol, which permits
    // UTF-8 without control characters, or there are too many. One thread alone calls it.
    Number Find(std::string_view text);

    // Count is how many there are, for the thread that calls Find.
    size_t Count() const { return known; }

    // At may be called by any thread that has the number from the one that calls Find,
    // in a way that orders the two.
    const Text& At(Number n) const { return *texts[n]; }

private:
    static size_t Hash(std::string_view text);
    bool Is(Number n, std::string_view text) const { return n < known && texts[n]->plain == text; }
    Number Add(std::string_view text);

    std::array<std::unique_ptr<Text>, most> texts;
    size_t known = 0;
    std::array<Number, 256> last{}; // found, by hash
};

} // namespace serveflow
