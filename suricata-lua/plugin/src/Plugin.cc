// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//
// ServeFlow's tap in Suricata 7 and 8: what Suricata calls, and what of its settings
// is read. It is loaded by "plugins:" in suricata.yaml.

#include <array>
#include <cstdlib>
#include <new>
#include <string>

#include "Check.h"
#include "Engine.h"
#include "Layout.h"
#include "Tap.h"

namespace serveflow {

namespace {

// There is one Suricata in a process. What stands here is never taken down: its
// threads may run when the process ends.
Engine engine;
const Layout* layout = nullptr;
const char* version = "";
Tap* tap = nullptr;

// Count has Suricata's stats say what the tap counts. Suricata starts one thread after
// the other, and its own count so too.
void Count() {
    static bool done = false;
    if ( done || ! engine.register_counter || ! engine.stats_enabled || ! engine.stats_enabled() )
        return;
    done = true;
    engine.register_counter("serveflow.sent", [] { return tap->Sent(); });
    engine.register_counter("serveflow.dropped", [] { return tap->Dropped(); });
    engine.register_counter("serveflow.labels", [] { return tap->Labelled(); });
}

int StartThread(void*, const void*, void** data) {
    *data = tap->Start();
    Count();
    return 0;
}

int FinishThread(void*, void* data) {
    if ( data )
        tap->Finish(*static_cast<Worker*>(data));
    return 0;
}

int WantPacket(void*, void* data, const void* packet) { return data && tap->Wanted(packet); }

int SendPacket(void*, void* data, const void* packet) {
    tap->Packet(*static_cast<Worker*>(data), packet);
    return 0;
}

// A logger without a start that succeeds has no data of its own in Suricata, and is
// given those of another one.
int StartFlows(void*, const void*, void** data) {
    *data = nullptr;
    return 0;
}

int FinishFlows(void*, void*) { return 0; }

int EndFlow(void*, void*, void* flow) {
    tap->End(flow);
    return 0;
}

// AddLabel writes the object "serveflow" into a record of EVE.
void AddLabel(void*, const void* packet, void* flow, void* json, void*) {
    Object object;
    if ( flow && tap->Label(flow, ! packet, object) )
        engine.json_add(json, object.Text());
}

std::string Setting(const char* name, const char* environment, const char* otherwise) {
    const char* value = environment ? std::getenv(environment) : nullptr;
    return value ? value : engine.Setting(name, otherwise);
}

bool Yes(const std::string& value) { return value == "yes" || value == "true" || value == "on" || value == "1"; }

// Settings reads "serveflow:" of suricata.yaml. What cannot be is said and left out.
Tap::Settings Settings() {
    Tap::Settings s;
    s.version = version;
    s.version = s.version.substr(0, s.version.find(' '));
    s.socket = Setting("serveflow.socket", "SERVEFLOW_SOCKET", "/run/serveflow/serveflow.sock");
    s.sensor = Setting("serveflow.sensor", "SERVEFLOW_SENSOR", "suricata");
    // In 7 for rules alone.
    s.labels = Yes(Setting("serveflow.labels", nullptr, engine.major >= 8 ? "yes" : "no"));
    s.waits = Yes(Setting("serveflow.wait", nullptr, "yes"));
    auto text = Setting("serveflow.buffer", nullptr, "2097152");
    char* end = nullptr;
    auto bytes = std::strtoull(text.c_str(), &end, 10);
    if ( *end != '\0' || bytes < 4096 || bytes > (1ULL << 30) )
        Say(Level::Warning,
            "serveflow.buffer is " + text + ", and has to be a number of bytes from 4096 to 1073741824");
    else
        s.buffer_bytes = bytes;
    return s;
}

void Start() {
    auto off = [](const std::string& why) { Say(Level::Error, why + ": no flow will be labelled"); };
    auto missing = engine.Find();
    if ( ! missing.empty() )
        return off(std::string("this Suricata ") + version + " has no function " + missing);
    if ( ! layout )
        return off(std::string("Suricata ") + version + " is not one that this plugin was made for");
    auto field = Contradiction(engine, *layout);
    if ( ! field.empty() )
        return off(std::string("this Suricata ") + version + " does not keep " + field + " where it was expected");
    auto settings = Settings();
    try {
        tap = new Tap(engine, *layout, settings);
    }
    catch ( const std::bad_alloc& ) {
        return off("there is no memory for the table of labels");
    }
    if ( ! tap->Register() )
        return off("Suricata gives no room in its flows");
    constexpr unsigned logger_user = 26; // of 8; 7 looks at none
    engine.register_packets(engine.major >= 8 ? logger_user : 0, "serveflow", SendPacket, WantPacket, nullptr,
                            StartThread, FinishThread, nullptr);
    engine.register_flows("serveflow", EndFlow, nullptr, StartFlows, FinishFlows, nullptr);
    if ( settings.labels && (! engine.find_variable || ! engine.set_flow_bit) )
        Say(Level::Warning, "this Suricata does not let a plugin set flow bits: no rule will see a label");
    if ( settings.labels && engine.register_eve && ! engine.register_eve(AddLabel, nullptr) )
        Say(Level::Error, "Suricata takes no EVE callback: no record will have a label");
}

// What Suricata 7 and 8 want to know of a plugin.
struct Plugin7 {
    const char* name;
    const char* license;
    const char* author;
    void (*start)();
};

struct Plugin8 {
    uint64_t api;
    const char* suricata_version;
    const char* name;
    const char* plugin_version;
    const char* license;
    const char* author;
    void (*start)();
};

constexpr const char* license = "Apache-2.0 OR GPL-2.0-only";
constexpr const char* author = "ServeFlow";

} // namespace

} // namespace serveflow

extern "C" const char* GetProgramVersion(void);

extern "C" __attribute__((visibility("default"))) void* SCPluginRegister(void) {
    using namespace serveflow;
    version = GetProgramVersion();
    layout = FindLayout(version);
    engine.major = static_cast<unsigned>(std::strtoul(version, nullptr, 10));
    static Plugin7 seven{"serveflow", license, author, Start};
    static Plugin8 eight{0x0800, version, "serveflow", SERVEFLOW_VERSION, license, author, Start};
    if ( engine.major >= 8 )
        return &eight;
    return &seven;
}
