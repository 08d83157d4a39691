// The sidecar's socket in Zeek's event loop.

#pragma once

#include <functional>

#include <zeek/iosource/IOSource.h>

#include "Link.h"

namespace serveflow {

// Source calls a function in each iteration of a live Zeek's loop in which the socket
// has input or the Link has output. In captures it does nothing: the calls that wait for
// labels read and write, too.
class Source final : public zeek::iosource::IOSource {
public:
    Source(const Link& link, std::function<void()> process) : link(link), process(std::move(process)) {}

    void Start(bool reads_capture);
    void Stop() { started = false; }

    // Watch polls this socket from now on; -1: none.
    void Watch(int fd);

    double GetNextTimeout() override { return Live() ? link.Due() : -1; }
    void Process() override {
        if ( Live() )
            process();
    }
    const char* Tag() override { return "ServeFlow"; }

private:
    bool Live() const { return started && ! capture; }

    const Link& link;
    std::function<void()> process;
    bool started = false;
    bool capture = false;
    int watched = -1;
};

} // namespace serveflow
