// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//
// Whether Suricata keeps things where the layout says: nothing is read or labelled
// by a layout that was contradicted.

#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "Engine.h"
#include "Layout.h"

namespace serveflow {

// Contradiction has Suricata's own functions write into made-up packets and flows,
// and says which field is not where the layout has it, "" if none.
std::string Contradiction(const Engine& engine, const Layout& layout);

// Trial holds the layout against the first packets that come.
class Trial {
public:
    enum Verdict : uint8_t { Running, Passed, Failed };

    explicit Trial(const Layout& of) : layout(of) {}

    Verdict State() const { return verdict.load(std::memory_order_relaxed); }

    // Packet looks at a packet and its flow. It reads no memory that is
    // not there, whatever the layout says. False: do not touch the packet.
    bool Packet(const void* packet);

    // Fail ends it by what was contradicted, also after it was passed.
    void Fail(const char* what) {
        field.store(what);
        verdict.store(Failed);
    }

    // Field is what was contradicted, after Failed.
    const char* Field() const { return field.load(); }

private:
    const char* Contradicted(const void* packet, const void* flow) const;

    static constexpr uint32_t enough = 64; // packets of TCP or UDP

    const Layout& layout;
    std::atomic<Verdict> verdict{Running};
    std::atomic<uint32_t> passed{0};
    std::atomic<const char*> field{""};
};

} // namespace serveflow
