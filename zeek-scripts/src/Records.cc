#include "Records.h"

#include <zeek/Event.h>
#include <zeek/EventRegistry.h>
#include <zeek/Func.h>
#include <zeek/ID.h>
#include <zeek/logging/Manager.h>

#include "serveflow.bif.h"

namespace serveflow {

namespace {

// Texts that are kept: what a sidecar says beyond them is not of a bundle.
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
    }

    int label, score, stage, pkts, latency, model, reason;
};

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

// Row is the connection's of conn.log. Scripts make it when they are told that the
// connection began, and write it when it is over.
zeek::RecordValPtr Row(const zeek::RecordVal& conn) {
    static const int at = zeek::id::connection->FieldOffset("conn");
    return conn.GetField<zeek::RecordVal>(at);
}

// Info is a ServeFlow::Info.
zeek::RecordValPtr Info(const zeek::RecordVal& conn, const Verdict& verdict) {
    static const auto type = zeek::id::find_type<zeek::RecordType>("ServeFlow::Info");
    static const Columns at(type, "");
    static const int id = zeek::id::connection->FieldOffset("id");
    static const int uid = zeek::id::connection->FieldOffset("uid");
    static const int start = zeek::id::connection->FieldOffset("start_time");
    auto info = zeek::make_intrusive<zeek::RecordVal>(type);
    info->AssignTime(0, conn.GetFieldAs<zeek::TimeVal>(start));
    info->Assign(1, conn.GetField(uid));
    info->Assign(2, conn.GetField(id));
    Copy(*info, at, verdict);
    return info;
}

// Hook is ServeFlow::labelled, if anybody handles it.
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
    };
}

bool Records::Known(const zeek::RecordVal& conn) { return Row(conn) != nullptr; }

bool Records::Watched() { return Hook() || ::ServeFlow::label; }

void Records::Tell(const zeek::RecordValPtr& conn, const Verdict& verdict) {
    static auto log = zeek::id::find("ServeFlow::log");
    static auto conn_log = zeek::id::find("ServeFlow::conn_log");
    static const int at = zeek::id::connection->FieldOffset("serveflow");
    static const Columns columns(zeek::id::find_type<zeek::RecordType>("Conn::Info"), "ml_");
    auto info = Info(*conn, verdict);
    conn->Assign(at, info);
    if ( auto row = Row(*conn); row && conn_log->GetVal()->AsBool() )
        Copy(*row, columns, verdict);
    if ( const auto* hook = Hook() )
        hook->Invoke(conn, info);
    if ( log->GetVal()->AsBool() )
        zeek::log_mgr->Write(Stream(), info.get());
    if ( ::ServeFlow::label )
        zeek::event_mgr.Enqueue(::ServeFlow::label, conn, info);
}

} // namespace serveflow
