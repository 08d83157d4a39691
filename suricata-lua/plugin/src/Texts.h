// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//
// The texts of LABELs, each combination once, with what an object of EVE has of it:
// the classes of flows are few, and so are the ways in which models come to them.
// Nothing here knows of Suricata.

#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace serveflow {

// Texts that come together. Which they are, Class and Provenance say.
using Texts = std::array<std::string_view, 3>;

constexpr size_t longest_text = 256; // of bytes that the protocol permits

// Class is what a flow is said to be: its texts are the label and the protocols that go
// together with it, which commas separate.
struct Class {
    std::string label;
    std::string services;
    std::string begin; // "serveflow":{"label":"web","score":

    // Make is false if a text is none of the protocol, which permits UTF-8 without
    // control characters.
    bool Make(const Texts& texts);
};

// Provenance is where a label comes from: its texts are the stage, the bundle as
// "name@version", and the reason.
struct Provenance {
    std::string stage; // ,"stage":"tree1","packets":
    std::string rest;  // ,"model":"iot-device","version":"1.0.0","reason":"accepted"

    bool Make(const Texts& texts);
};

template <typename T>
class Numbered {
public:
    using Number = uint16_t;

    static constexpr size_t most = size_t{1} << 14;
    static constexpr Number none = UINT16_MAX;

    // Find is the number of what is made of these texts. None: it cannot be made of them,
    // or there are too many. One thread at a time calls it.
    Number Find(const Texts& texts) {
        auto& last = lately[Place(texts)];
        if ( last && last->first == texts )
            return last->second;
        if ( auto found = numbers.find(texts); found != numbers.end() ) {
            last = &*found;
            return found->second;
        }
        auto made = std::make_unique<T>();
        auto too_long = [](auto text) { return text.size() > longest_text; };
        if ( numbers.size() == most || std::any_of(texts.begin(), texts.end(), too_long) || ! made->Make(texts) )
            return none;
        auto n = static_cast<Number>(numbers.size());
        all[n] = std::move(made);
        auto& key = keys.emplace_back();
        std::copy(texts.begin(), texts.end(), key.begin());
        numbers.emplace(Texts{key[0], key[1], key[2]}, n);
        count.store(numbers.size(), std::memory_order_release);
        return n;
    }

    // Count is how many there are, for any thread.
    size_t Count() const { return count.load(std::memory_order_acquire); }

    // At may be called by any thread whose number is below Count, or that has it from the
    // one that called Find in a way that orders the two.
    const T& At(Number n) const { return *all[n]; }

private:
    struct Before {
        bool operator()(const Texts& a, const Texts& b) const {
            for ( size_t i = 0; i < a.size(); i++ )
                if ( int order = a[i].compare(b[i]); order != 0 )
                    return order < 0;
            return false;
        }
    };

    // Place is where texts are remembered that came lately, or others in their place.
    static size_t Place(const Texts& texts) {
        size_t place = 0;
        for ( auto s : texts )
            if ( ! s.empty() )
                place = 31 * place + 7 * s.size() + static_cast<uint8_t>(s.front()) + static_cast<uint8_t>(s.back());
        return place % places;
    }

    static constexpr size_t places = 256;

    std::array<std::unique_ptr<T>, most> all;
    std::deque<std::array<std::string, 3>> keys; // which stay where they are
    std::map<Texts, Number, Before> numbers;     // no texts make it slow
    std::array<const std::pair<const Texts, Number>*, places> lately{};
    std::atomic<size_t> count{0};
};

} // namespace serveflow
