#include "FlowTable.h"

#include <algorithm>

#include <zeek/Conn.h>
#include <zeek/ID.h>
#include <zeek/RunState.h>

#include "Tap.h"

namespace serveflow {

namespace {

// Bounds on flows in the state Logged.
constexpr double logged_seconds = 60;
constexpr size_t max_logged = 100'000;

} // namespace

Flow& FlowTable::Open(Tap* tap) {
    const auto& conn = tap->Conn()->GetVal(); // assigns the uid
    static const int at = zeek::id::connection->FieldOffset("uid");
    auto& [uid, f] = *flows.try_emplace(Uid(conn->GetField<zeek::StringVal>(at)->ToStdStringView())).first;
    f.uid = uid;
    f.number = ++opened;
    f.tap = tap;
    f.conn = conn;
    return f;
}

Flow* FlowTable::Find(std::string_view uid) {
    auto at = flows.find(uid);
    return at == flows.end() ? nullptr : &at->second;
}

void FlowTable::Remove(const Flow& flow) { flows.erase(flows.find(flow.uid)); }

uint64_t FlowTable::Expire(Flow& flow) {
    auto now = zeek::run_state::network_time;
    uint64_t removed = 0;
    while ( ! logged.empty() && (logged.size() >= max_logged || now - logged.front().first > logged_seconds) ) {
        removed += flows.erase(Uid(logged.front().second));
        logged.pop_front();
    }
    flow.state = Flow::State::Logged;
    logged.emplace_back(now, flow.uid);
    return removed;
}

uint64_t FlowTable::Owed() const {
    return std::count_if(flows.begin(), flows.end(), [](const auto& f) { return f.second.Owed(); });
}

} // namespace serveflow
