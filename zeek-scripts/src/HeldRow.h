// A row of conn.log that is held for its label by Zeek's Log::delay. Log::delay may be
// called from the hook Log::log_stream_policy only. A handler in a script would be
// called for every row of every log; the plugin intercepts the call of the hook
// instead, and only while such a row is expected: docs/adr/007-held-rows.md.

#pragma once

#include <string_view>

#include <zeek/Func.h>
#include <zeek/Val.h>

namespace serveflow {

class HeldRow {
public:
    // Uid returns the uid of the row of conn.log that a call of func is about to write;
    // "" if it is another call.
    static std::string_view Uid(const zeek::Func* func, const zeek::Args& args);

    // Hold makes that call, and holds the row if no handler vetoes it. Zeek calls expired
    // with the row and its log where it stops waiting for Release.
    zeek::ValPtr Hold(const zeek::Func* func, zeek::Args* args, const zeek::FuncPtr& expired);

    bool Held() const { return token != nullptr; }

    // Release lets Zeek write the row.
    void Release();

    // Expired is called when Zeek has written the row without waiting further.
    void Expired() { token = nullptr; }

private:
    zeek::RecordValPtr row;
    zeek::ValPtr token;
};

} // namespace serveflow
