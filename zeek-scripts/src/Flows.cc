#include "Flows.h"

#include <unistd.h>

#include <zeek/ID.h>
#include <zeek/Reporter.h>
#include <zeek/RunState.h>
#include <zeek/zeek-version.h>

namespace serveflow {

void Flows::Start(const std::string& sensor, bool capture) {
    settings.hello.engine_version = VERSION;
    settings.hello.sensor = sensor;
    settings.hello.pid = getpid();
    settings.hello.capture = capture;
    settings.hello.run = capture ? RunName() : "";
    Configure();
    publisher.Start(capture);
    rows.Start(capture);
    source.Start(capture);
    started = true;
}

void Flows::Configure() {
    settings.socket = zeek::id::find_val("ServeFlow::socket")->AsStringVal()->ToStdString();
    settings.buffer_bytes = zeek::id::find_val("ServeFlow::buffer_bytes")->AsCount();
    settings.batch_bytes = zeek::id::find_val("ServeFlow::batch_bytes")->AsCount();
    settings.batch_interval = std::chrono::microseconds(
        static_cast<int64_t>(zeek::id::find_val("ServeFlow::batch_interval")->AsInterval() * 1e6));
    settings.patience = zeek::id::find_val("ServeFlow::patience")->AsInterval();
    link.Configure(settings);
}

void Flows::Finish() {
    if ( ! started )
        return;
    rows.Drain();
    link.Close();
    source.Stop();
    started = false;
    rows.Finish();
}

void Flows::Process() {
    rows.EventsDone();
    link.Read();
    if ( link.Due() == 0 )
        link.Flush();
    publisher.Publish();
}

void Flows::End(Flow& flow) {
    flow.tap = nullptr;
    auto ts = static_cast<int64_t>(zeek::run_state::network_time * 1e6 + 0.5);
    rows.End(flow, link.End(flow.uid, ts));
}

void Flows::OnSocket(int fd) {
    source.Watch(fd);
    if ( fd < 0 )
        Configure(); // for the next connection
}

void Flows::OnReport(const std::string& text) { zeek::reporter->Info("ServeFlow: %s", text.c_str()); }

} // namespace serveflow
