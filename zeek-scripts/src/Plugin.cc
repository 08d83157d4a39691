#include "Plugin.h"

#include <zeek/analyzer/Component.h>
#include <zeek/analyzer/Manager.h>
#include <zeek/telemetry/Manager.h>

#include "Tap.h"

namespace plugin::ServeFlow_Tap {

Plugin plugin;

zeek::plugin::Configuration Plugin::Configure() {
    // Registers the tag of the analyzer of taps. Only taps instantiate it.
    AddComponent(new zeek::analyzer::Component("ServeFlow_Tap", nullptr));

    zeek::plugin::Configuration config;
    config.name = "ServeFlow::Tap";
    config.description = "Sends the first packets of connections to the ServeFlow sidecar and receives their labels";
    config.version.major = SERVEFLOW_MAJOR;
    config.version.minor = SERVEFLOW_MINOR;
    config.version.patch = SERVEFLOW_PATCH;
    return config;
}

void Plugin::Begin(const std::string& sensor, bool capture) {
    bool again = flows.Started();
    flows.SetAnalyzerTag(zeek::analyzer_mgr->GetComponentTag("ServeFlow_Tap"));
    flows.Start(sensor, capture);
    if ( again )
        return;
    EnableHook(zeek::plugin::HOOK_SETUP_ANALYZER_TREE);

    auto counter = [this](const char* name, const char* help, auto read) {
        zeek::telemetry_mgr->CounterInstance("zeek", name, {}, help, "",
                                             [this, read]() { return static_cast<double>(read(flows)); });
    };
    using Flows = serveflow::Flows;
    counter("serveflow_sent", "Messages sent to the sidecar", [](const Flows& f) { return f.Count().sent; });
    counter("serveflow_dropped", "Messages dropped before they reached the sidecar",
            [](const Flows& f) { return f.Count().dropped; });
    counter("serveflow_labels", "Labels received", [](const Flows& f) { return f.Count().labels; });
    counter("serveflow_late_labels", "Labels received after their row of conn.log was written",
            [](const Flows& f) { return f.Late(); });
    counter("serveflow_lost_labels", "Labels owed by the sidecar that were not received",
            [](const Flows& f) { return f.Lost(); });
    counter("serveflow_connects", "Connections that the sidecar welcomed",
            [](const Flows& f) { return f.Count().connects; });
}

void Plugin::HookSetupAnalyzerTree(zeek::Connection* conn) {
    if ( flows.Started() )
        serveflow::Attach(flows, conn);
}

std::pair<bool, zeek::ValPtr> Plugin::HookFunctionCall(const zeek::Func* func, zeek::detail::Frame*, zeek::Args* args) {
    auto returned = flows.Rows().Call(func, args);
    return {returned.has_value(), returned.value_or(nullptr)};
}

void Plugin::Done() {
    flows.Finish();
    zeek::plugin::Plugin::Done();
}

} // namespace plugin::ServeFlow_Tap
