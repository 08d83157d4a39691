// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only

#include "Tap.h"

#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

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
        if ( ! workers ) {
            // Known no sooner than that threads begin.
            capture = settings.waits && ! engine.time_is_live();
            closes = labels && ! capture;
            Workers::Settings s;
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
            if ( engine.find_variable && engine.set_flow_bit )
                s.look = [this] { LookForRules(); };
            workers = std::make_unique<Workers>(std::move(s), labels.get());
        }
        worker = workers->Add();
        if ( worker )
            working++;
    }
    if ( ! worker ) {
        Say(Level::Error, "the thread that sends cannot be started: no flow will be labelled");
        return nullptr;
    }
    // What is wanted has to be known before the first packet of a capture is cut.
    worker->Connect();
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
    workers->Stop();
    if ( auto lost = workers->Dropped() )
        Say(Level::Notice, std::to_string(lost) + " of " + std::to_string(lost + workers->Sent()) +
                               " messages did not reach the sidecar");
}

bool Tap::Try(const void* packet) {
    bool sound = trial.Packet(packet);
    SayFailed();
    return sound;
}

void Tap::SayFailed() {
    if ( trial.State() == Trial::Failed && ! failed.exchange(true) )
        Say(Level::Error, std::string("this Suricata does not keep ") + trial.Field() +
                              " where it was expected: no flow will be labelled");
}

void Tap::Packet(Worker& worker, const void* packet) {
    if ( (Read<uint32_t>(packet, layout.packet.flags) & pseudo) != 0 )
        return;
    auto* flow = Read<void*>(packet, layout.packet.flow);
    auto id = FlowID(layout, flow);
    auto before = State(flow);
    auto state = before;
    auto round = Round();
    bool looks = (state & rounds) != round && FlowPackets(layout, flow) > 1;
    if ( looks )
        labels->Expect(id);
    if ( looks && ruled.load(std::memory_order_relaxed) )
        SetBit(flow, id, state);
    if ( Sends(flow) && (state & labelled) == 0 )
        Send(worker, packet, flow, id, state, looks);
    state = (state & ~rounds) | round;
    if ( state != before )
        engine.set_storage(flow, storage, reinterpret_cast<void*>(state));
}

// Send sends the packet of a flow that had no label in the rounds before. It looks for
// the label if that may have come since.
void Tap::Send(Worker& worker, const void* packet, const void* flow, uint64_t id, uintptr_t& state, bool looks) {
    uint32_t size = 0;
    const uint8_t* ip = PacketIP(layout, packet, size);
    Frame frame;
    bool known = ip && Look(ip, size, frame);
    if ( looks && HasLabel(id) ) {
        state |= labelled;
        return;
    }
    if ( ! ip ) {
        // A packet that has a flow has such a header; of which version, only time tells.
        auto proto = Read<uint8_t>(packet, layout.packet.proto);
        if ( proto == IPPROTO_TCP || proto == IPPROTO_UDP )
            trial.Fail("the packet's IP header");
        return SayFailed();
    }
    if ( ! known || frame.icmp_error )
        return;
    state = reinterpret_cast<uintptr_t>(&worker) | (state & (marks | rounds));
    auto raw = std::min({frame.size + Need().payload_bytes.load(std::memory_order_relaxed),
                         Need().raw_bytes.load(std::memory_order_relaxed), size});
    PacketInfo p;
    p.flow = id;
    p.ts_us = Micros(Read<uint64_t>(packet, layout.packet.ts));
    p.orig_pkts = Read<uint32_t>(flow, layout.flow.to_server);
    p.resp_pkts = Read<uint32_t>(flow, layout.flow.to_client);
    p.wire_len = size;
    p.raw = {reinterpret_cast<const char*>(ip), raw};
    worker.Packet(p);
    if ( closes && frame.protocol == IPPROTO_TCP && frame.transport > 0 && frame.transport + 14 <= size )
        Close(worker, flow, p, ip + frame.transport, state);
}

// HasLabel looks for the label after which nothing more of a flow is sent.
bool Tap::HasLabel(uint64_t id) { return ! Need().after_label.load(std::memory_order_relaxed) && labels->Has(id); }

// A Bit is the name of the flow bit of a label.
struct Bit {
    explicit Bit(const std::string& label) {
        std::memcpy(name, "serveflow.", 10);
        std::memcpy(name + 10, label.c_str(), label.size() + 1);
    }
    char name[10 + longest_text + 1];
};

// SetBit sets the bit of a flow's label, once, if there is a label and a rule names it:
// rules see it from the flow's next packet on. Suricata, which runs this for a packet of
// the flow, has locked it. Rules may be others each time, so that nothing is remembered
// of them.
void Tap::SetBit(void* flow, uint64_t id, uintptr_t& state) {
    Labels::Entry entry;
    if ( (state & bit_set) != 0 || ! labels->Find(id, entry) )
        return;
    Bit bit(labels->ClassOf(entry).label);
    if ( auto n = engine.find_variable(bit.name, flow_bit) )
        engine.set_flow_bit(flow, n);
    state |= bit_set;
}

// LookForRules says whether any rule names one of the labels that came so far.
void Tap::LookForRules() {
    bool named = false;
    for ( size_t n = 0; n < labels->Classes() && ! named; n++ ) {
        Bit bit(labels->NthClass(n).label);
        named = engine.find_variable(bit.name, flow_bit) != 0;
    }
    if ( ruled.exchange(named, std::memory_order_relaxed) != named )
        labels->NewRound(); // those that came before are looked for, too
}

// Close sees a connection that ends before all packets that are wanted came: its label
// is to be there when Suricata writes the record of the flow, which live does not wait.
void Tap::Close(Worker& worker, const void* flow, const PacketInfo& p, const uint8_t* tcp, uintptr_t& state) {
    constexpr uint8_t fin = 0x01;
    constexpr uint8_t rst = 0x04;
    if ( (tcp[13] & (fin | rst)) == 0 )
        return;
    uint16_t from = static_cast<uint16_t>(tcp[0] << 8 | tcp[1]);
    uintptr_t side = from == Read<uint16_t>(flow, layout.flow.sp) ? 1 : 2;
    state |= (tcp[13] & rst) != 0 ? both_sides : side;
    if ( (state & both_sides) == both_sides )
        worker.Closing(p.flow.number, p.ts_us);
}

// End tells of the end of a flow of which packets were sent. It may have had all packets
// that are wanted by Suricata's count: ICMP errors that tell about it are in that.
void Tap::End(const void* flow) {
    if ( trial.State() == Trial::Failed || ! workers )
        return;
    Worker* worker = WorkerOf(flow);
    if ( ! worker )
        return; // nothing was sent of it
    auto id = FlowID(layout, flow);
    if ( labels )
        labels->ExpectLabel(id); // the flow's record, which is written next, looks for it
    worker->End(id, Micros(Read<uint64_t>(flow, layout.flow.lastts)));
}

bool Tap::Label(const void* flow, bool over, Object& object) {
    if ( trial.State() == Trial::Failed || (! over && HasNone(State(flow))) )
        return false;
    auto id = FlowID(layout, flow);
    Labels::Entry entry;
    if ( ! labels->Find(id, entry) ) {
        Worker* worker = over && capture ? WorkerOf(flow) : nullptr;
        if ( ! worker )
            return false;
        worker->Sync(Until());
        if ( ! labels->Find(id, entry) )
            return false;
    }
    object.Write(*labels, entry, over, engine.protocol_name(Read<uint16_t>(flow, layout.flow.alproto)));
    return true;
}

} // namespace serveflow
