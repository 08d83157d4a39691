// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//
// How often a worker takes turns, for the Go tests in test/suricata. It says what is wrong.

#include <cstdio>
#include <thread>

#include "Pace.h"

using namespace serveflow;

namespace {

int wrong = 0;

void Want(bool right, const char* what, uint64_t n) {
    if ( right )
        return;
    std::printf("%s: %llu\n", what, static_cast<unsigned long long>(n));
    wrong++;
}

// Turns are those that are due in so many milliseconds of packets without a pause.
uint64_t Turns(Pace& pace, int ms) {
    uint64_t turns = 0;
    for ( auto until = Clock::now() + std::chrono::milliseconds(ms); Clock::now() < until; )
        turns += pace.Due(false) ? 1 : 0;
    return turns;
}

} // namespace

int main() {
    Pace pace;
    uint64_t at_once = 0;
    for ( int i = 0; i < 100; i++ )
        at_once += pace.Due(false) ? 1 : 0;
    Want(at_once >= 10 && at_once <= 13, "turns at once", at_once);
    Want(pace.Busy(), "busy after as many turns as there may be", pace.Busy());

    auto turns = Turns(pace, 2000);
    Want(turns >= 38 && turns <= 42, "turns in two seconds of packets", turns);
    Want(pace.Due(true), "due where a batch is full", 0);

    std::this_thread::sleep_for(std::chrono::milliseconds(700));
    Want(! pace.Due(false), "the clock is not read at every packet: due", 1);
    pace.Idle();
    Want(pace.Due(false), "due at the first packet after a pause", 0);
    Want(! pace.Busy(), "busy after a pause", 1);
    return wrong > 0;
}
