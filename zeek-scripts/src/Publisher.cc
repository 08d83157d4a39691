#include "Publisher.h"

#include <algorithm>

#include <zeek/Conn.h>

#include "Tap.h"

namespace serveflow {

void Publisher::Add(const Label& l, bool ends) {
    Flow* f = table.Find(l.flow);
    if ( ! f ) {
        late++;
        return;
    }
    if ( f->verdict )
        return; // a second label, which the protocol forbids
    f->verdict = records.Read(l);
    if ( f->tap && ends )
        f->tap->Stop();
    arrived.push_back(f);
}

void Publisher::Publish() {
    if ( arrived.empty() || ! publishing.empty() )
        return;
    if ( capture )
        std::sort(arrived.begin(), arrived.end(), [](const Flow* a, const Flow* b) { return a->number < b->number; });
    publishing.swap(arrived);
    for ( Flow* f : publishing ) {
        if ( f->tap && ! Records::Known(*f->conn) ) {
            arrived.push_back(f);
            continue;
        }
        if ( f->state == Flow::State::Logged && ! f->row.Held() )
            late++;
        if ( f->tap && Records::Watched() )
            f->tap->Conn()->GetVal(); // updates the record
        Records::Publish(f->conn, *f->verdict);
        f->row.Release();
        switch ( f->state ) {
            case Flow::State::Active: f->state = Flow::State::Labelled; break;
            case Flow::State::Ended: f->state = Flow::State::EndedLabelled; break;
            case Flow::State::Logged: table.Remove(*f); break;
            case Flow::State::Labelled:
            case Flow::State::EndedLabelled: break; // a flow has one label
        }
    }
    publishing.clear();
}

void Publisher::Remove(Flow& flow) {
    std::erase(arrived, &flow);
    table.Remove(flow);
}

} // namespace serveflow
