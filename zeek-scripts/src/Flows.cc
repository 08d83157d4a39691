#include "Flows.h"

#include <unistd.h>

#include <algorithm>

#include <zeek/Conn.h>
#include <zeek/EventRegistry.h>
#include <zeek/ID.h>
#include <zeek/Reporter.h>
#include <zeek/RunState.h>
#include <zeek/iosource/Manager.h>
#include <zeek/zeek-version.h>

#include "Tap.h"
#include "serveflow.bif.h"

namespace serveflow {

namespace {

// How long, and of how many flows, a label is waited for whose row is written.
constexpr double orphan_seconds = 60;
constexpr size_t max_orphans = 100'000;

// How many seconds conn.log's row is held.
double Hold() { return zeek::id::find_val("ServeFlow::hold")->AsInterval(); }

} // namespace

Flows::Flows(std::function<void(bool)> watch) : link(*this), watch(std::move(watch)) {}

void Flows::Start(const std::string& sensor, bool wait) {
    capture = wait;
    settings.hello.engine_version = VERSION;
    settings.hello.sensor = sensor;
    settings.hello.pid = getpid();
    settings.hello.capture = capture;
    settings.hello.run = capture ? RunName() : "";
    Configure();
    if ( started )
        return;
    started = true;
    zeek::iosource_mgr->Register(this, true, false);
    asking = zeek::event_registry->LookupGroup(zeek::EventGroupKind::Attribute, "ServeFlow::asking");
    Ask(capture);
}

// Ask switches the handler that asks, for every connection, what became of its
// label. Live most have it when they end. In captures none has.
void Flows::Ask(bool on) {
    if ( ! asking || on != asking->IsDisabled() )
        return;
    if ( on )
        asking->Enable();
    else
        asking->Disable();
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
    Drain();
    link.Close();
    started = false;
    lost +=
        std::count_if(flows.begin(), flows.end(), [](const auto& f) { return f.second.owed && ! f.second.verdict; });
}

Flow* Flows::Open(Tap* tap) {
    const auto& conn = tap->Conn()->GetVal(); // which has a UID from then on
    static const int at = zeek::id::connection->FieldOffset("uid");
    auto& [uid, f] = *flows.try_emplace(Uid(conn->GetField<zeek::StringVal>(at)->ToStdStringView())).first;
    f.uid = uid;
    f.number = ++numbers;
    f.tap = tap;
    f.conn = conn;
    return &f;
}

bool Flows::Send(Flow&, const PacketInfo& p) { return link.Packet(p); }

void Flows::Over(Flow& flow) {
    flow.tap = nullptr;
    auto ts = static_cast<int64_t>(zeek::run_state::network_time * 1e6 + 0.5);
    bool sent = link.End(flow.uid, ts);
    flow.owed = ! flow.told && (sent || flow.verdict);
    if ( ! flow.owed ) {
        Forget(flow);
        return;
    }
    if ( asked++ == 0 )
        Ask(true);
}

// Forget is for a flow whose connection is over.
void Flows::Forget(Flow& flow) {
    std::erase(arrived, &flow);
    flows.erase(flows.find(flow.uid));
}

void Flows::Settle(std::string_view uid) {
    auto at = flows.find(uid);
    if ( at == flows.end() || ! at->second.owed || at->second.settled )
        return;
    Flow& f = at->second;
    if ( --asked == 0 )
        Ask(capture);
    if ( capture || zeek::run_state::terminating )
        Sync(f.verdict ? 0 : Patience());
    else
        Deliver();
    f.settled = true;
    if ( ! f.told && ! capture && link.Welcomed() ) {
        Evict();
        orphans.emplace_back(zeek::run_state::network_time, f.uid);
        if ( zeek::id::find_val("ServeFlow::conn_log")->AsBool() && Hold() > 0 )
            watch(true);
        return;
    }
    if ( ! f.told )
        lost++;
    Forget(f);
}

std::optional<zeek::ValPtr> Flows::Call(const zeek::Func* func, zeek::Args* args) {
    static const auto expired = zeek::id::find_func("ServeFlow::__expired");
    auto at = flows.find(HeldRow::Uid(func, *args));
    if ( at == flows.end() || ! at->second.settled || at->second.told || at->second.row.Held() )
        return {};
    return at->second.row.Hold(func, args, expired);
}

void Flows::Expired(std::string_view uid) {
    auto at = flows.find(uid);
    if ( at != flows.end() )
        at->second.row.Expired();
}

// Evict forgets labels that nobody will ever tell.
void Flows::Evict() {
    while ( ! orphans.empty() && (orphans.size() >= max_orphans ||
                                  zeek::run_state::network_time - orphans.front().first > orphan_seconds) ) {
        if ( auto at = flows.find(orphans.front().second); at != flows.end() ) {
            flows.erase(at);
            lost++;
        }
        orphans.pop_front();
    }
}

void Flows::OnLabel(const Label& l) {
    auto at = flows.find(l.flow);
    if ( at == flows.end() ) {
        late++;
        return;
    }
    Flow& f = at->second;
    if ( f.verdict )
        return; // a second one, which the protocol forbids
    f.verdict = records.Read(l);
    if ( f.tap )
        f.tap->Stop();
    arrived.push_back(&f);
}

// Deliver tells scripts of the labels that came, but of no connection that they
// do not know of yet.
void Flows::Deliver() {
    if ( arrived.empty() || ! telling.empty() )
        return;
    if ( capture )
        std::sort(arrived.begin(), arrived.end(), [](const Flow* a, const Flow* b) { return a->number < b->number; });
    telling.swap(arrived);
    for ( Flow* f : telling ) {
        if ( f->tap && ! Records::Known(*f->conn) ) {
            arrived.push_back(f);
            continue;
        }
        if ( f->settled && ! f->row.Held() )
            late++;
        if ( f->tap && Records::Watched() )
            f->tap->Conn()->GetVal(); // which brings the record up to date
        Records::Tell(f->conn, *f->verdict);
        f->told = true;
        f->row.Release();
        if ( f->settled )
            flows.erase(flows.find(f->uid));
    }
    telling.clear();
}

bool Flows::Sync(double seconds) {
    bool came = seconds > 0 && link.Sync(false, seconds);
    Deliver();
    return came;
}

// Patience is how many seconds may be waited now: in captures for each label, at
// Zeek's end for all of them.
double Flows::Patience() {
    if ( capture )
        return settings.patience;
    using std::chrono::duration;
    if ( end == Clock::time_point{} )
        end = Clock::now() + std::chrono::duration_cast<Clock::duration>(duration<double>(Hold()));
    return link.Welcomed() ? duration<double>(end - Clock::now()).count() : 0;
}

void Flows::Drain() {
    if ( std::any_of(flows.begin(), flows.end(), [](const auto& f) { return f.second.owed && ! f.second.verdict; }) )
        Sync(Patience());
    else
        link.Flush();
}

void Flows::OnSocket(int fd) {
    if ( watched >= 0 && ! capture )
        zeek::iosource_mgr->UnregisterFd(watched, this);
    watched = fd;
    if ( fd < 0 ) {
        Configure(); // for the next connection
        return;
    }
    if ( ! capture )
        zeek::iosource_mgr->RegisterFd(fd, this);
}

void Flows::OnReport(const std::string& text) { zeek::reporter->Info("ServeFlow: %s", text.c_str()); }

double Flows::GetNextTimeout() { return capture || ! started ? -1 : link.Due(); }

void Flows::Process() {
    if ( capture || ! started )
        return;
    watch(false); // whatever was to be written with the last events was
    link.Read();
    if ( link.Due() == 0 )
        link.Flush();
    Deliver();
}

} // namespace serveflow
