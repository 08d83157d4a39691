// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//
// Takes bytes that nobody vouches for, for the fuzz test in test/suricata: from standard
// input, each with its length in four bytes before it, and a byte that says whether it
// is what a sidecar sends (s) or a packet (p). It answers each with a line, after two for
// each label that it kept: the objects that EVE would have.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "Frame.h"
#include "Labels.h"
#include "Object.h"
#include "Unpack.h"

using namespace serveflow;

namespace {

void Hear(Labels& labels, std::string_view in) {
    Message m;
    size_t size = 0;
    int messages = 0;
    Outcome outcome = Outcome::Whole;
    while ( (outcome = Unpack(in, m, size)) == Outcome::Whole ) {
        if ( size == 0 || size > in.size() )
            std::abort();
        in.remove_prefix(size);
        messages++;
        if ( m.kind != Message::LabelKind )
            continue;
        auto kept = labels.Kept();
        Labels::Coming coming(labels);
        coming.Add(m.label);
        coming.Keep();
        Labels::Entry e;
        if ( labels.Kept() == kept )
            continue;
        if ( ! labels.Find(m.label.number, e) || m.label.label != labels.ClassOf(e).label )
            std::abort(); // not what was said
        Object object;
        object.Write(labels, e, true, "http");
        if ( std::strtof(std::strstr(object.Text(), "\"score\":") + 8, nullptr) != e.score ||
             std::strtof(std::strstr(object.Text(), "\"margin\":") + 9, nullptr) != e.margin )
            std::abort();
        std::printf("%s\n", object.Text());
        object.Write(labels, e, false, "http");
        if ( std::strtof(std::strstr(object.Text(), "\"score\":") + 8, nullptr) != e.score )
            std::abort();
        std::printf("%s\n", object.Text());
    }
    std::printf("%d messages, %s\n", messages, outcome == Outcome::Bad ? "bad" : "cut");
}

void See(const std::vector<uint8_t>& packet) {
    Frame f;
    if ( packet.size() < 20 || ! Look(packet.data(), static_cast<uint32_t>(packet.size()), f) ) {
        std::puts("no packet");
        return;
    }
    if ( f.transport >= packet.size() )
        std::abort();
    std::printf("protocol %d, %u bytes of headers\n", f.protocol, f.size);
}

} // namespace

int main() {
    Labels labels;
    uint8_t head[5];
    while ( std::fread(head, 1, sizeof head, stdin) == sizeof head ) {
        uint32_t n = 0;
        std::memcpy(&n, head, sizeof n);
        // A copy of its own, so that what is read past its end is found.
        std::vector<uint8_t> in(n);
        if ( n > 0 && std::fread(in.data(), 1, n, stdin) != n )
            return 1;
        if ( head[4] == 's' )
            Hear(labels, {reinterpret_cast<const char*>(in.data()), in.size()});
        else
            See(in);
        std::fflush(stdout);
    }
}
