// The records of a label that scripts and logs see. Making them in C++ is several
// times cheaper than in scripts.

#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

#include <zeek/Val.h>

#include "Unpack.h"

namespace serveflow {

// The content of a LABEL, as Zeek values.
struct Verdict {
    zeek::StringValPtr label;
    double score;             // 0 to 1
    zeek::StringValPtr stage; // null if no stage decided
    uint64_t packets;
    double latency; // seconds
    zeek::StringValPtr model;
    zeek::StringValPtr reason;
    zeek::StringValPtr services; // null if the bundle has no list for the label
};

class Records {
public:
    Verdict Read(const Label& label);

    // Publish puts a verdict into a connection's record and its row of conn.log, runs
    // the hook ServeFlow::labelled, writes serveflow.log and raises ServeFlow::label,
    // each where it is switched on or handled.
    static void Publish(const zeek::RecordValPtr& conn, const Verdict& verdict);

    // Compare compares the services of a labelled connection with those that fit the
    // label, and stores the result in both records.
    static void Compare(const zeek::RecordVal& conn);

    // Known reports whether scripts have seen the connection's first event.
    static bool Known(const zeek::RecordVal& conn);

    // Watched reports whether a script handles labels, and may read the connection's record.
    static bool Watched();

private:
    zeek::StringValPtr Text(std::string_view s);

    // Labels, stages, bundles and reasons repeat: one value for each text.
    std::unordered_map<std::string_view, zeek::StringValPtr> texts;
};

} // namespace serveflow
