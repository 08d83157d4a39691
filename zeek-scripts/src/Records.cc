#include "Records.h"

#include <algorithm>
#include <cctype>
#include <optional>

#include <zeek/Event.h>
#include <zeek/EventRegistry.h>
#include <zeek/Func.h>
#include <zeek/ID.h>
#include <zeek/logging/Manager.h>

#include "serveflow.bif.h"

namespace serveflow {

namespace {

// Bound on cached texts: a bundle has far fewer.
constexpr size_t max_texts = 4096;

// The columns of a label in a log.
struct Columns {
    Columns(const zeek::RecordTypePtr& type, const std::string& prefix) {
        auto at = [&](const char* name) { return type->FieldOffset((prefix + name).c_str()); };
        label = at("label");
        score = at("score");
        stage = at("stage");
        pkts = at("pkts");
        latency = at("latency");
        model = at("model");
        reason = at("reason");
        agrees = at("agrees");
    }

    int label, score, stage, pkts, latency, model, reason, agrees;
};

const Columns& InInfo() {
    static const Columns at(zeek::id::find_type<zeek::RecordType>("ServeFlow::Info"), "");
    return at;
}

const Columns& InRow() {
    static const Columns at(zeek::id::find_type<zeek::RecordType>("Conn::Info"), "ml_");
    return at;
}

int Services() {
    static const int at = zeek::id::find_type<zeek::RecordType>("ServeFlow::Info")->FieldOffset("services");
    return at;
}

void Copy(zeek::RecordVal& to, const Columns& at, const Verdict& v) {
    to.Assign(at.label, v.label);
    to.Assign(at.score, v.score);
    if ( v.stage )
        to.Assign(at.stage, v.stage);
    to.Assign(at.pkts, v.packets);
    to.AssignInterval(at.latency, v.latency);
    to.Assign(at.model, v.model);
    to.Assign(at.reason, v.reason);
}

// Row returns the connection's row of conn.log. Scripts create it at the connection's
// first event and write it at the end.
zeek::RecordValPtr Row(const zeek::RecordVal& conn) {
    static const int at = zeek::id::connection->FieldOffset("conn");
    return conn.GetField<zeek::RecordVal>(at);
}

// Info returns a new ServeFlow::Info.
zeek::RecordValPtr Info(const zeek::RecordVal& conn, const Verdict& verdict) {
    static const auto type = zeek::id::find_type<zeek::RecordType>("ServeFlow::Info");
    static const int id = zeek::id::connection->FieldOffset("id");
    static const int uid = zeek::id::connection->FieldOffset("uid");
    static const int start = zeek::id::connection->FieldOffset("start_time");
    auto info = zeek::make_intrusive<zeek::RecordVal>(type);
    info->AssignTime(0, conn.GetFieldAs<zeek::TimeVal>(start));
    info->Assign(1, conn.GetField(uid));
    info->Assign(2, conn.GetField(id));
    Copy(*info, InInfo(), verdict);
    if ( verdict.services )
        info->Assign(Services(), verdict.services);
    return info;
}

// Lists reports whether a list has the name of a service; case does not matter.
bool Lists(std::string_view list, std::string_view name) {
    auto same = [](char a, char b) { return a == std::tolower(static_cast<unsigned char>(b)); };
    while ( ! list.empty() ) {
        auto one = list.substr(0, list.find(','));
        if ( std::equal(one.begin(), one.end(), name.begin(), name.end(), same) )
            return true;
        list.remove_prefix(std::min(one.size() + 1, list.size()));
    }
    return false;
}

// Agrees reports whether the list has one of a connection's services; nullopt if the
// connection has none. Zeek prefixes the name of a service that failed with "-".
std::optional<bool> Agrees(const zeek::RecordVal& conn, std::string_view list) {
    static const int at = zeek::id::connection->FieldOffset("service");
    std::optional<bool> agrees;
    const auto services = conn.GetField<zeek::TableVal>(at)->ToPureListVal();
    for ( const auto& service : services->Vals() ) {
        auto name = service->AsStringVal()->ToStdStringView();
        if ( ! name.starts_with('-') )
            agrees = agrees.value_or(false) || Lists(list, name);
    }
    return agrees;
}

void Note(zeek::RecordVal& in, int at, std::optional<bool> agrees) {
    if ( agrees )
        in.Assign(at, *agrees);
    else
        in.Remove(at);
}

// Hook returns ServeFlow::labelled if a script handles it, else null.
const zeek::Func* Hook() {
    static auto id = zeek::id::find("ServeFlow::labelled");
    const auto& value = id->GetVal();
    const zeek::Func* hook = value ? value->AsFunc() : nullptr;
    return hook && hook->HasBodies() ? hook : nullptr;
}

zeek::EnumVal* Stream() {
    static auto ids = zeek::id::find_type<zeek::EnumType>("Log::ID");
    static auto stream = ids->GetEnumVal(ids->Lookup("ServeFlow", "LOG"));
    return stream.get();
}

} // namespace

zeek::StringValPtr Records::Text(std::string_view s) {
    if ( auto known = texts.find(s); known != texts.end() )
        return known->second;
    if ( texts.size() >= max_texts )
        texts.clear();
    auto value = zeek::make_intrusive<zeek::StringVal>(s.size(), s.data());
    texts.emplace(value->ToStdStringView(), value);
    return value;
}

Verdict Records::Read(const Label& l) {
    return {
        .label = Text(l.label),
        .score = l.score,
        .stage = l.stage.empty() ? nullptr : Text(l.stage),
        .packets = l.packets,
        .latency = static_cast<double>(l.latency_us) / 1e6,
        .model = Text(l.model),
        .reason = Text(l.reason),
        .services = l.services.empty() ? nullptr : Text(l.services),
    };
}

bool Records::Known(const zeek::RecordVal& conn) { return Row(conn) != nullptr; }

bool Records::Watched() { return Hook() || ::ServeFlow::label; }

void Records::Compare(const zeek::RecordVal& conn) {
    static const int at = zeek::id::connection->FieldOffset("serveflow");
    auto info = conn.GetField<zeek::RecordVal>(at);
    auto services = info->GetField<zeek::StringVal>(Services());
    auto agrees = Agrees(conn, services->ToStdStringView());
    Note(*info, InInfo().agrees, agrees);
    if ( auto row = Row(conn); row && row->HasField(InRow().label) )
        Note(*row, InRow().agrees, agrees);
}

void Records::Publish(const zeek::RecordValPtr& conn, const Verdict& verdict) {
    static auto log = zeek::id::find("ServeFlow::log");
    static auto conn_log = zeek::id::find("ServeFlow::conn_log");
    static const int at = zeek::id::connection->FieldOffset("serveflow");
    auto info = Info(*conn, verdict);
    conn->Assign(at, info);
    if ( auto row = Row(*conn); row && conn_log->GetVal()->AsBool() )
        Copy(*row, InRow(), verdict);
    if ( verdict.services )
        Compare(*conn);
    if ( const auto* hook = Hook() )
        hook->Invoke(conn, info);
    if ( log->GetVal()->AsBool() )
        zeek::log_mgr->Write(Stream(), info.get());
    if ( ::ServeFlow::label )
        zeek::event_mgr.Enqueue(::ServeFlow::label, conn, info);
}

} // namespace serveflow
