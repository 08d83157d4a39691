// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//
// How often a worker takes turns, by a made-up clock, for the Go tests in test/suricata. It
// says what is wrong.

#include <cstdio>

#include "Pace.h"

using namespace serveflow;

namespace {

int wrong = 0;
int looked = 0; // at the clock
Clock::time_point made_up{std::chrono::hours(1)};

Clock::time_point Now() {
    looked++;
    return made_up;
}

void Want(int least, int most, int is, const char* what) {
    if ( is >= least && is <= most )
        return;
    std::printf("%s: %d, should be %d to %d\n", what, is, least, most);
    wrong++;
}

// Turns are those that are due in so many packets, with as many microseconds between them.
int Turns(Pace& pace, int packets, int apart) {
    int turns = 0;
    for ( int i = 0; i < packets; i++ ) {
        turns += pace.Due(false, Now) ? 1 : 0;
        made_up += std::chrono::microseconds(apart);
    }
    return turns;
}

} // namespace

int main() {
    Pace pace;
    Want(0, 0, pace.Busy(), "busy at the start");
    Want(11, 11, Turns(pace, 100, 0), "turns in packets at once");
    Want(1, 1, pace.Busy(), "busy after as many turns as there may be");
    Want(199, 200, Turns(pace, 100'000, 100), "turns in ten seconds of many packets");
    looked = 0;
    Want(19, 21, Turns(pace, 10'000, 100), "turns in the next second");
    Want(160, 260, looked, "looks at the clock in it");
    Want(1, 1, pace.Due(true, Now), "due where a batch is full");

    made_up += std::chrono::seconds(2);
    Want(0, 0, pace.Due(false, Now), "due at the first packet after many");
    pace.Idle();
    Want(0, 0, pace.Busy(), "busy after a pause");
    Want(8, 8, Turns(pace, 8, 1000), "turns in few packets after a pause");

    // However many packets there were, it does not take long to see that they are few now.
    Turns(pace, 10'000'000, 0);
    made_up += std::chrono::milliseconds(50);
    Turns(pace, 10'000'000, 0);
    made_up += std::chrono::seconds(1);
    Want(1, 66, Turns(pace, 66, 1), "turns in the 66 packets after very many");
    return wrong > 0;
}
