// The plugin ServeFlow::Tap. It is idle until the scripts start it.

#pragma once

#include <zeek/plugin/Plugin.h>

#include "Flows.h"

namespace plugin::ServeFlow_Tap {

class Plugin final : public zeek::plugin::Plugin {
public:
    serveflow::Flows flows{[this](bool on) {
        if ( on )
            EnableHook(zeek::plugin::HOOK_CALL_FUNCTION);
        else
            DisableHook(zeek::plugin::HOOK_CALL_FUNCTION);
    }};

    // Begin taps all new connections.
    void Begin(const std::string& sensor, bool capture);

    void HookSetupAnalyzerTree(zeek::Connection* conn) override;
    std::pair<bool, zeek::ValPtr> HookFunctionCall(const zeek::Func* func, zeek::detail::Frame* parent,
                                                   zeek::Args* args) override;

protected:
    zeek::plugin::Configuration Configure() override;
    void Done() override;
};

extern Plugin plugin;

} // namespace plugin::ServeFlow_Tap
