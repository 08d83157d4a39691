// What scripts and logs see of a label. Scripts could make the records themselves,
// at several times the price, and every flow has a label.

#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

#include <zeek/Val.h>

#include "Unpack.h"

namespace serveflow {

// What a Label says, to be kept.
struct Verdict {
    zeek::StringValPtr label;
    double score;             // 0 to 1
    zeek::StringValPtr stage; // none if no stage decided
    uint64_t packets;
    double latency; // seconds
    zeek::StringValPtr model;
    zeek::StringValPtr reason;
    zeek::StringValPtr services; // none if the bundle has no list
};

class Records {
public:
    Verdict Read(const Label& label);

    // Tell puts a verdict into a connection's record and its row of conn.log, runs
    // the hook ServeFlow::labelled, writes serveflow.log and raises ServeFlow::label,
    // each if it is wanted.
    static void Tell(const zeek::RecordValPtr& conn, const Verdict& verdict);

    // Compare compares the services of a connection that has its label with those
    // that go together with the label, and puts what comes of it into both records.
    static void Compare(const zeek::RecordVal& conn);

    // Known says whether scripts were told of a connection.
    static bool Known(const zeek::RecordVal& conn);

    // Watched says whether a script acts on labels, and may look at the connection.
    static bool Watched();

private:
    zeek::StringValPtr Text(std::string_view s);

    // Labels, stages, bundles and reasons are few: one value for each, by its own text.
    std::unordered_map<std::string_view, zeek::StringValPtr> texts;
};

} // namespace serveflow
