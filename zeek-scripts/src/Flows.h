// The flows of this Zeek: what is sent of them, and what is done with their labels.

#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include <zeek/Tag.h>

#include "FlowTable.h"
#include "Link.h"
#include "Publisher.h"
#include "RowWait.h"
#include "Source.h"

namespace serveflow {

// Flows connects the parts: taps send through it to the Link, labels go from there to
// the Publisher, and RowWait waits for those of connections that are over.
class Flows final : public Link::Owner {
public:
    // watch: see RowWait.
    explicit Flows(std::function<void(bool)> watch)
        : link(*this),
          publisher(table),
          rows(table, link, publisher, std::move(watch)),
          source(link, [this] { Process(); }) {}

    // Start reads the settings of the script layer; no connection is tapped before it.
    // capture: labels are waited for.
    void Start(const std::string& sensor, bool capture);
    bool Started() const { return started; }

    // Finish sends what is buffered and closes the connection.
    void Finish();

    zeek::Tag AnalyzerTag() const { return tag; }
    void SetAnalyzerTag(const zeek::Tag& t) { tag = t; }

    // For taps.
    const Need& Wanted() { return link.Wanted(); }
    Flow& Open(Tap* tap) { return table.Open(tap); }
    bool Send(const PacketInfo& p) { return link.Packet(p); }
    void End(Flow& flow);

    RowWait& Rows() { return rows; }

    const Counters& Count() const { return link.Count(); }
    uint64_t Late() const { return publisher.Late(); }
    uint64_t Lost() const { return rows.Lost(); }

    // Of Link::Owner.
    void OnLabel(const Label& label) override { publisher.Add(label, link.LabelEnds()); }
    void OnSocket(int fd) override;
    void OnReport(const std::string& text) override;

private:
    void Configure();
    void Process();

    Settings settings;
    zeek::Tag tag;
    bool started = false;

    Link link;
    FlowTable table;
    Publisher publisher;
    RowWait rows;
    Source source;
};

} // namespace serveflow
