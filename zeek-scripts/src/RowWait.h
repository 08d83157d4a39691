// Waits for the label of a connection that is over, so that its row of conn.log has it.

#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include <zeek/EventRegistry.h>
#include <zeek/Func.h>
#include <zeek/Val.h>

#include "FlowTable.h"
#include "Link.h"
#include "Publisher.h"

namespace serveflow {

// RowWait blocks for the label in captures and when Zeek terminates. A live Zeek goes
// on, and the row is held.
class RowWait {
public:
    // watch switches Plugin::HookFunctionCall on and off; a hook must not be active
    // when it is switched off.
    RowWait(FlowTable& table, Link& link, Publisher& publisher, std::function<void(bool)> watch)
        : table(table), link(link), publisher(publisher), watch(std::move(watch)) {}

    void Start(bool reads_capture);

    // End is called when the connection of a flow is over; sent says whether END was sent.
    void End(Flow& flow, bool sent);

    // Settle is called before the row of a connection without its label is written. It
    // waits for the label, or prepares for holding the row.
    void Settle(std::string_view uid);

    // Call is called for each call of a script function. Where it is the one that writes
    // the row, Call runs it, holds the row, and returns its result.
    std::optional<zeek::ValPtr> Call(const zeek::Func* func, zeek::Args* args);

    // Expired is called when a held row was written without its label.
    void Expired(std::string_view uid);

    // EventsDone is called when all events raised so far have been handled: no row is
    // about to be written.
    void EventsDone() { watch(false); }

    // Drain waits for all labels that are owed, at Zeek's end.
    void Drain();

    // Lost counts labels that were owed and did not arrive.
    uint64_t Lost() const { return lost; }

    // Finish counts the labels that are still owed as lost.
    void Finish() { lost += table.Owed(); }

private:
    void EnableHandler(bool on);
    void Sync(double seconds);
    double Patience();

    FlowTable& table;
    Link& link;
    Publisher& publisher;
    std::function<void(bool)> watch;
    bool capture = false;
    zeek::EventGroupPtr handler; // the event handler that calls Settle
    uint64_t unsettled = 0;      // ended flows that Settle has yet to be called for
    uint64_t lost = 0;
    Clock::time_point deadline; // of all waiting when Zeek terminates
};

} // namespace serveflow
