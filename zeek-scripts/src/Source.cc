#include "Source.h"

#include <zeek/iosource/Manager.h>

namespace serveflow {

void Source::Start(bool reads_capture) {
    capture = reads_capture;
    if ( ! started )
        zeek::iosource_mgr->Register(this, true, false);
    started = true;
}

void Source::Watch(int fd) {
    if ( watched >= 0 && ! capture )
        zeek::iosource_mgr->UnregisterFd(watched, this);
    watched = fd;
    if ( fd >= 0 && ! capture )
        zeek::iosource_mgr->RegisterFd(fd, this);
}

} // namespace serveflow
