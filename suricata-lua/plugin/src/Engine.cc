// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only

#include "Engine.h"

#include <dlfcn.h>

namespace serveflow {

namespace {

template <typename F>
bool FindFunction(F& function, const char* name) {
    function = reinterpret_cast<F>(dlsym(RTLD_DEFAULT, name));
    return function != nullptr;
}

} // namespace

std::string Engine::Find() {
    std::string missing;
    auto need = [&](auto& function, const char* name) {
        if ( ! FindFunction(function, name) && missing.empty() )
            missing = name;
    };
    bool eight = major >= 8;
    need(register_packets, eight ? "SCOutputRegisterPacketLogger" : "OutputRegisterPacketLogger");
    need(register_flows, eight ? "SCOutputRegisterFlowLogger" : "OutputRegisterFlowLogger");
    need(setting, eight ? "SCConfGet" : "ConfGet");
    need(time_is_live, "TimeModeIsLive");
    need(register_storage, "FlowStorageRegister");
    need(storage, "FlowGetStorageById");
    need(set_storage, "FlowSetStorageById");
    need(packet_set_data, "PacketSetData");
    need(packet_copy_data, "PacketCopyData");
    need(default_packet_size, "default_packet_size");
    need(flow_handle_packet, "FlowHandlePacketUpdate");
    need(flow_last_time, "FlowGetLastTimeAsParts");
    need(flow_flags, "FlowGetFlags");
    need(flow_source_port, "FlowGetSourcePort");
    need(flow_destination_port, "FlowGetDestinationPort");
    if ( eight ) {
        need(register_eve, "SCEveRegisterCallback");
        need(json_add, "SCJbSetFormatted");
        need(protocol_name, "AppProtoToString");
        need(change_protocol, "AppLayerRequestProtocolChange");
    }
    FindFunction(find_variable, "VarNameStoreLookupByName");
    FindFunction(set_flow_bit, "FlowBitSet");
    FindFunction(register_counter, "StatsRegisterGlobalCounter");
    FindFunction(stats_enabled, "StatsEnabled");
    return missing;
}

std::string Engine::Setting(const char* name, const char* otherwise) const {
    const char* value = nullptr;
    return setting(name, &value) == 1 && value ? value : otherwise;
}

void Say(Level level, const std::string& text) {
    using Log = void (*)(int level, const char* file, const char* function, int line, const char* module,
                         const char* format, ...);
    Log log = nullptr;
    if ( FindFunction(log, "SCLog") )
        log(static_cast<int>(level), "plugin", "serveflow", 0, "serveflow", "%s", text.c_str());
}

} // namespace serveflow
