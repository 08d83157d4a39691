// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only

#include "Tap.h"

#include <unistd.h>

#include <algorithm>

#include "Frame.h"

namespace serveflow {

namespace {

constexpr double capture_patience = 30; // seconds
constexpr std::chrono::seconds live_farewell{2};

} // namespace

Tap::Tap(const Engine& of, const Layout& as, Settings with)
    : engine(of), layout(as), settings(std::move(with)), trial(as) {
    if ( settings.labels )
        labels = std::make_unique<Labels>();
}

bool Tap::Register() {
    storage = engine.register_storage("serveflow", sizeof(void*), nullptr, [](void*) {});
    return storage >= 0;
}

Worker* Tap::Start() {
    Worker* worker = nullptr;
    {
        std::lock_guard<std::mutex> hold(lock);
        if ( ! sender ) {
            // Known no sooner than that threads begin.
            capture = settings.waits && ! engine.time_is_live();
            Sender::Settings s;
            s.link.socket = settings.socket;
            s.link.hello.engine = "suricata";
            s.link.hello.engine_version = settings.version;
            s.link.hello.sensor = settings.sensor;
            s.link.hello.pid = getpid();
            s.link.hello.capture = capture;
            s.link.hello.run = capture ? RunName() : "";
            s.link.hello.reply = settings.labels;
            s.link.buffer_bytes = settings.buffer_bytes;
            s.link.batch_bytes = std::min<size_t>(1 << 16, settings.buffer_bytes / 2);
            s.link.patience = capture_patience;
            s.report = [](const std::string& text) { Say(Level::Notice, text); };
            sender = std::make_unique<Sender>(std::move(s), labels.get());
        }
        worker = sender->Add();
        if ( worker )
            working++;
    }
    if ( ! worker ) {
        Say(Level::Error, "the thread that sends cannot be started: no flow will be labelled");
        return nullptr;
    }
    // What is wanted has to be known before the first packet of a capture is cut.
    if ( capture )
        worker->AwaitAnswer(Until());
    return worker;
}

Worker::Deadline Tap::Until() {
    return std::chrono::steady_clock::now() + std::chrono::seconds(static_cast<int>(capture_patience));
}

// Finish ends a worker. The connection stays: flows that are over come to be recorded
// after the last packet. All workers of a live Suricata share one time limit.
void Tap::Finish(Worker& worker) {
    Worker::Deadline deadline;
    {
        std::lock_guard<std::mutex> hold(lock);
        if ( finish == Worker::Deadline{} )
            finish = std::chrono::steady_clock::now() + live_farewell;
        deadline = capture ? Until() : finish;
    }
    worker.Finish(deadline);
    std::lock_guard<std::mutex> hold(lock);
    if ( --working > 0 )
        return;
    sender->Stop();
    if ( auto lost = sender->Dropped() )
        Say(Level::Notice, std::to_string(lost) + " of " + std::to_string(lost + sender->Sent()) +
                               " messages did not reach the sidecar");
}

bool Tap::Try(const void* packet) {
    bool sound = trial.Packet(packet);
    if ( trial.State() == Trial::Failed && ! failed.exchange(true) )
        Say(Level::Error, std::string("this Suricata does not keep ") + trial.Field() +
                              " where it was expected: no flow will be labelled");
    return sound;
}

void Tap::Packet(Worker& worker, const void* packet) {
    if ( (Read<uint32_t>(packet, layout.packet.flags) & pseudo) != 0 )
        return;
    uint32_t size = 0;
    const uint8_t* ip = PacketIP(layout, packet, size);
    Frame frame;
    if ( ! ip || ! Look(ip, size, frame) || frame.icmp_error )
        return;
    auto* flow = Read<void*>(packet, layout.packet.flow);
    if ( WorkerOf(flow) != &worker )
        engine.set_storage(flow, storage, &worker);
    auto raw = std::min({frame.size + Need().payload_bytes.load(std::memory_order_relaxed),
                         Need().raw_bytes.load(std::memory_order_relaxed), size});
    PacketInfo p;
    p.flow = FlowID(layout, flow);
    p.ts_us = Micros(Read<uint64_t>(packet, layout.packet.ts));
    p.orig_pkts = Read<uint32_t>(flow, layout.flow.to_server);
    p.resp_pkts = Read<uint32_t>(flow, layout.flow.to_client);
    p.wire_len = size;
    p.raw = {reinterpret_cast<const char*>(ip), raw};
    worker.Packet(p);
}

// End tells of the end of a flow. One that had all the packets that are wanted is
// decided without.
void Tap::End(const void* flow) {
    if ( trial.State() == Trial::Failed || ! sender )
        return;
    auto id = FlowID(layout, flow);
    if ( labels )
        labels->Over(id);
    if ( FlowPackets(layout, flow) > Need().packets.load(std::memory_order_relaxed) )
        return;
    if ( Worker* worker = WorkerOf(flow) )
        worker->End(id, Micros(Read<uint64_t>(flow, layout.flow.lastts)));
}

bool Tap::Label(const void* flow, bool over, Labels::Entry& entry) {
    if ( trial.State() == Trial::Failed )
        return false;
    auto id = FlowID(layout, flow);
    if ( labels->Find(id, entry) )
        return true;
    Worker* worker = over && capture ? WorkerOf(flow) : nullptr;
    return worker && worker->Sync(Until()) && labels->Find(id, entry);
}

} // namespace serveflow
