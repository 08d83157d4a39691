#include "Records.h"

#include <array>

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

// The fields of ServeFlow::Decision, in its order.
enum Field { label, score, stage, pkts, latency, model, reason, fields };

// The columns of a label in a log, by field.
using Columns = std::array<int, fields>;

Columns ColumnsOf(const zeek::RecordTypePtr& type, const std::string& prefix) {
    constexpr std::array names{"label", "score", "stage", "pkts", "latency", "model", "reason"};
    Columns at{};
    for ( int i = 0; i < fields; i++ )
        at[i] = type->FieldOffset((prefix + names[i]).c_str());
    return at;
}

void Copy(zeek::RecordVal& to, const Columns& at, const zeek::RecordVal& decision) {
    for ( auto text : {label, stage, model, reason} ) {
        auto value = decision.GetField<zeek::StringVal>(text);
        if ( text != stage || value->Len() > 0 )
            to.Assign(at[text], std::move(value));
    }
    to.Assign(at[score], decision.GetFieldAs<zeek::DoubleVal>(score));
    to.Assign(at[pkts], static_cast<uint64_t>(decision.GetFieldAs<zeek::CountVal>(pkts)));
    to.AssignInterval(at[latency], decision.GetFieldAs<zeek::IntervalVal>(latency));
}

const zeek::RecordTypePtr& InfoType() {
    static auto type = zeek::id::find_type<zeek::RecordType>("ServeFlow::Info");
    return type;
}

// Row is the connection's of conn.log. Scripts make it when they are told that the
// connection began, and write it when it is over.
zeek::RecordValPtr Row(const zeek::RecordVal& conn) {
    static const int at = zeek::id::connection->FieldOffset("conn");
    return conn.GetField<zeek::RecordVal>(at);
}

// Fill fills the columns of conn.log.
void Fill(const zeek::RecordVal& conn, const zeek::RecordVal& decision) {
    static const auto at = ColumnsOf(zeek::id::find_type<zeek::RecordType>("Conn::Info"), "ml_");
    if ( auto row = Row(conn) )
        Copy(*row, at, decision);
}

// Info is a ServeFlow::Info.
zeek::RecordValPtr Info(const zeek::RecordVal& conn, const zeek::RecordVal& decision) {
    static const auto at = ColumnsOf(InfoType(), "");
    static const int id = zeek::id::connection->FieldOffset("id");
    static const int uid = zeek::id::connection->FieldOffset("uid");
    static const int start = zeek::id::connection->FieldOffset("start_time");
    auto info = zeek::make_intrusive<zeek::RecordVal>(InfoType());
    info->AssignTime(0, conn.GetFieldAs<zeek::TimeVal>(start));
    info->Assign(1, conn.GetField(uid));
    info->Assign(2, conn.GetField(id));
    Copy(*info, at, decision);
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

zeek::RecordValPtr Records::Decision(const Label& l) {
    static auto type = zeek::id::find_type<zeek::RecordType>("ServeFlow::Decision");
    auto d = zeek::make_intrusive<zeek::RecordVal>(type);
    d->Assign(label, Text(l.label));
    d->Assign(score, l.score);
    d->Assign(stage, Text(l.stage));
    d->Assign(pkts, l.packets);
    d->AssignInterval(latency, static_cast<double>(l.latency_us) / 1e6);
    d->Assign(model, Text(l.model));
    d->Assign(reason, Text(l.reason));
    return d;
}

bool Records::Known(const zeek::RecordVal& conn) { return Row(conn) != nullptr; }

bool Records::Watched() { return Hook() || ::ServeFlow::label; }

void Records::Tell(const zeek::RecordValPtr& conn, const zeek::RecordValPtr& decision) {
    static auto log = zeek::id::find("ServeFlow::log");
    static auto conn_log = zeek::id::find("ServeFlow::conn_log");
    static const int at = zeek::id::connection->FieldOffset("serveflow");
    conn->Assign(at, decision);
    if ( conn_log->GetVal()->AsBool() )
        Fill(*conn, *decision);
    const auto* hook = Hook();
    bool row = log->GetVal()->AsBool();
    if ( hook || row ) {
        auto info = Info(*conn, *decision);
        if ( hook )
            hook->Invoke(conn, info);
        if ( row )
            zeek::log_mgr->Write(Stream(), info.get());
    }
    if ( ::ServeFlow::label )
        zeek::event_mgr.Enqueue(::ServeFlow::label, conn, decision);
}

} // namespace serveflow
