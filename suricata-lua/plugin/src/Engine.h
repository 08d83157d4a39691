// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
//
// The functions of Suricata that the plugin calls, as far as this Suricata has them:
// they are found by their names in the program itself.

#pragma once

#include <cstdint>
#include <string>

namespace serveflow {

using ThreadInit = int (*)(void* tv, const void* initdata, void** data);
using ThreadDeinit = int (*)(void* tv, void* data);
using PacketFunction = int (*)(void* tv, void* data, const void* packet);
using FlowFunction = int (*)(void* tv, void* data, void* flow);
using EveFunction = void (*)(void* tv, const void* packet, void* flow, void* json, void* user);

struct Engine {
    unsigned major = 0;

    // In 7 they have another name, and one argument more, which nobody looks at in 8.
    int (*register_packets)(unsigned id, const char* name, PacketFunction log, PacketFunction condition, void* initdata,
                            ThreadInit, ThreadDeinit, void* print_stats) = nullptr;
    int (*register_flows)(const char* name, FlowFunction log, void* initdata, ThreadInit, ThreadDeinit,
                          void* print_stats) = nullptr;
    bool (*time_is_live)() = nullptr;
    int (*setting)(const char* name, const char** value) = nullptr;
    uint16_t (*register_counter)(const char* name, uint64_t (*value)()) = nullptr;
    bool (*stats_enabled)() = nullptr;

    // Room for a pointer in every flow.
    int (*register_storage)(const char* name, unsigned size, void* (*allocate)(unsigned),
                            void (*free)(void*)) = nullptr;
    void* (*storage)(const void* flow, int id) = nullptr;
    int (*set_storage)(void* flow, int id, void* value) = nullptr;

    // Flow bits, as far as rules name them. Where they are missing no rule has labels.
    uint32_t (*find_variable)(const char* name, int type) = nullptr; // 0: no rule names it
    void (*set_flow_bit)(void* flow, uint32_t bit) = nullptr;        // its flow is locked

    // What the layout is checked with.
    int (*packet_set_data)(void* packet, const uint8_t* data, uint32_t size) = nullptr;
    uint32_t* default_packet_size = nullptr; // of the bytes after a packet
    int (*packet_copy_data)(void* packet, const uint8_t* data, uint32_t size) = nullptr;
    void (*flow_handle_packet)(void* flow, void* packet, void* tv, void* dtv) = nullptr;
    void (*flow_last_time)(const void* flow, uint64_t* seconds, uint64_t* micros) = nullptr;
    uint32_t (*flow_flags)(const void* flow) = nullptr;
    uint16_t (*flow_source_port)(const void* flow) = nullptr;
    uint16_t (*flow_destination_port)(const void* flow) = nullptr;

    // 8 alone.
    bool (*register_eve)(EveFunction, void* user) = nullptr;
    bool (*json_add)(void* json, const char* member) = nullptr; // "key":value, as it is
    const char* (*protocol_name)(uint16_t protocol) = nullptr;
    bool (*change_protocol)(void* flow, uint16_t port, uint16_t protocol) = nullptr;

    // Find fills all in and says which of those that are needed is missing, "" if none.
    std::string Find();

    // Setting is a value of suricata.yaml, or of its --set.
    std::string Setting(const char* name, const char* otherwise) const;
};

enum class Level : int { Error = 1, Warning = 2, Notice = 3 };

// Say writes a line into Suricata's log.
void Say(Level level, const std::string& text);

} // namespace serveflow
