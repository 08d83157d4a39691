// A row of conn.log that waits for its label, by what is behind Log::delay. That
// can be called from Log::log_stream_policy alone. A handler of this hook in a
// script, even one that is switched off, costs a call for every row of every log;
// the plugin sees the hook's call instead, and only while a row is expected.

#pragma once

#include <string_view>

#include <zeek/Func.h>
#include <zeek/Val.h>

namespace serveflow {

class HeldRow {
public:
    // Uid is that of the connection whose row of conn.log is about to be written
    // when func is called; "": it is not.
    static std::string_view Uid(const zeek::Func* func, const zeek::Args& args);

    // Hold stands for that call, and holds the row if it lets the row pass. When
    // Zeek waited too long, expired is called with the row and its log.
    zeek::ValPtr Hold(const zeek::Func* func, zeek::Args* args, const zeek::FuncPtr& expired);

    bool Held() const { return token != nullptr; }

    // Release has the row written.
    void Release();

    // Expired says that it has been.
    void Expired() { token = nullptr; }

private:
    zeek::RecordValPtr row;
    zeek::ValPtr token;
};

} // namespace serveflow
