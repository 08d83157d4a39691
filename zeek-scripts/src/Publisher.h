// Publishes labels: to scripts, to serveflow.log and to conn.log.

#pragma once

#include <cstdint>
#include <vector>

#include "FlowTable.h"
#include "Records.h"

namespace serveflow {

// Publisher collects labels as they arrive. A live Zeek publishes them in the next
// iteration of its loop. In captures they arrive at SYNCs only, and are published in
// the order of the flows, so that every run is the same.
class Publisher {
public:
    explicit Publisher(FlowTable& table) : table(table) {}

    void Start(bool reads_capture) { capture = reads_capture; }

    // Add takes a label that has arrived. ends: no further packet of its flow is wanted.
    void Add(const Label& label, bool ends);

    // Publish publishes the labels of all connections that scripts know of.
    void Publish();

    // Remove removes a flow whose connection is over.
    void Remove(Flow& flow);

    // Late counts labels that arrived after their row of conn.log was written.
    uint64_t Late() const { return late; }

private:
    FlowTable& table;
    Records records;
    bool capture = false;
    std::vector<Flow*> arrived;    // labels to be published
    std::vector<Flow*> publishing; // those that Publish is working on
    uint64_t late = 0;
};

} // namespace serveflow
