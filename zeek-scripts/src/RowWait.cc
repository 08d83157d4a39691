#include "RowWait.h"

#include <zeek/ID.h>
#include <zeek/RunState.h>

namespace serveflow {

namespace {

// HoldSeconds returns how long a row of conn.log is held.
double HoldSeconds() { return zeek::id::find_val("ServeFlow::hold")->AsInterval(); }

} // namespace

void RowWait::Start(bool reads_capture) {
    capture = reads_capture;
    handler = zeek::event_registry->LookupGroup(zeek::EventGroupKind::Attribute, "ServeFlow::asking");
    EnableHandler(capture || unsettled > 0);
}

// EnableHandler switches the event handler that calls Settle for each connection that
// ends. Live, most connections have their label by then and it stays off. In captures
// none has.
void RowWait::EnableHandler(bool on) {
    if ( ! handler || on != handler->IsDisabled() )
        return;
    if ( on )
        handler->Enable();
    else
        handler->Disable();
}

void RowWait::End(Flow& flow, bool sent) {
    if ( flow.state == Flow::State::Labelled || (! sent && ! flow.verdict) ) {
        publisher.Remove(flow);
        return;
    }
    flow.state = Flow::State::Ended;
    if ( unsettled++ == 0 )
        EnableHandler(true);
}

void RowWait::Settle(std::string_view uid) {
    Flow* f = table.Find(uid);
    if ( ! f || (f->state != Flow::State::Ended && f->state != Flow::State::EndedLabelled) )
        return;
    if ( --unsettled == 0 )
        EnableHandler(capture);
    if ( capture || zeek::run_state::terminating )
        Sync(f->verdict ? 0 : Patience());
    else
        publisher.Publish();
    bool published = f->state == Flow::State::EndedLabelled;
    if ( ! published && ! capture && link.Welcomed() ) {
        lost += table.Expire(*f);
        if ( zeek::id::find_val("ServeFlow::conn_log")->AsBool() && HoldSeconds() > 0 )
            watch(true);
        return;
    }
    if ( ! published )
        lost++;
    publisher.Remove(*f);
}

std::optional<zeek::ValPtr> RowWait::Call(const zeek::Func* func, zeek::Args* args) {
    static const auto expired = zeek::id::find_func("ServeFlow::__expired");
    Flow* f = table.Find(HeldRow::Uid(func, *args));
    if ( ! f || f->state != Flow::State::Logged || f->row.Held() )
        return {};
    return f->row.Hold(func, args, expired);
}

void RowWait::Expired(std::string_view uid) {
    if ( Flow* f = table.Find(uid) )
        f->row.Expired();
}

void RowWait::Drain() {
    if ( table.Owed() > 0 )
        Sync(Patience());
    else
        link.Flush();
}

void RowWait::Sync(double seconds) {
    if ( seconds > 0 )
        link.Sync(false, seconds);
    publisher.Publish();
}

// Patience returns how many seconds may be waited now: for each label in captures, for
// all of them when Zeek terminates.
double RowWait::Patience() {
    if ( capture )
        return zeek::id::find_val("ServeFlow::patience")->AsInterval();
    using std::chrono::duration;
    if ( deadline == Clock::time_point{} )
        deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(duration<double>(HoldSeconds()));
    return link.Welcomed() ? duration<double>(deadline - Clock::now()).count() : 0;
}

} // namespace serveflow
