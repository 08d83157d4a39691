#include "HeldRow.h"

#include <utility>

#include <zeek/ID.h>
#include <zeek/logging/Manager.h>

namespace serveflow {

namespace {

// Set while HeldRow::Hold calls the hook, which must not be intercepted again.
bool held = false;

const zeek::EnumValPtr& ConnLog() {
    static const auto ids = zeek::id::find_type<zeek::EnumType>("Log::ID");
    static const auto stream = ids->GetEnumVal(ids->Lookup("Conn", "LOG"));
    return stream;
}

} // namespace

std::string_view HeldRow::Uid(const zeek::Func* func, const zeek::Args& args) {
    static const auto policy = zeek::id::find_func("Log::log_stream_policy");
    static const int uid = zeek::id::find_type<zeek::RecordType>("Conn::Info")->FieldOffset("uid");
    if ( func != policy.get() || held || args.size() != 2 || args[1]->AsEnum() != ConnLog()->AsEnum() )
        return "";
    return args[0]->AsRecordVal()->GetField<zeek::StringVal>(uid)->ToStdStringView();
}

zeek::ValPtr HeldRow::Hold(const zeek::Func* func, zeek::Args* args, const zeek::FuncPtr& expired) {
    row = {zeek::NewRef{}, (*args)[0]->AsRecordVal()};
    held = true;
    auto verdict = func->Invoke(args);
    held = false;
    if ( ! verdict || verdict->AsBool() )
        token = zeek::log_mgr->Delay(ConnLog(), row, expired);
    return verdict;
}

void HeldRow::Release() {
    if ( auto t = std::exchange(token, nullptr) )
        zeek::log_mgr->DelayFinish(ConnLog(), row, t);
}

} // namespace serveflow
