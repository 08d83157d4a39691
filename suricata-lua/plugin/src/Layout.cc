// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only

#include "Layout.h"

#include <cstdio>

namespace serveflow {

#ifdef SERVEFLOW_HEADERS
extern "C" const Layout serveflow_layout; // Headers.c
#else
namespace {

constexpr Layout layouts[] = {
#include "layouts.inc"
};

} // namespace
#endif

const Layout* FindLayout(const char* version) {
    unsigned major = 0;
    unsigned minor = 0;
    unsigned patch = 0;
    if ( std::sscanf(version, "%u.%u.%u", &major, &minor, &patch) != 3 )
        return nullptr;
#ifdef SERVEFLOW_HEADERS
    const auto& l = serveflow_layout;
    return l.major == major && l.minor == minor && l.patch == patch ? &l : nullptr;
#else
    const Layout* found = nullptr;
    for ( const auto& l : layouts )
        if ( l.major == major && l.minor == minor && l.patch <= patch )
            found = &l;
    return found;
#endif
}

} // namespace serveflow
