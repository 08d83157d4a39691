# The label log as OCSF 1.5: a Network Activity for each flow, and for a flow whose label
# is an alarm a Detection Finding as well.
#
#     jq -c -f labels.jq --argjson alarms '["openvpn", "tor"]' \
#         --argjson attack "$(serveflow bundle inspect --attack channel)" labels.jsonl
#
# attack has the techniques of MITRE ATT&CK by label; {} for none.

def millis: . * 1000 | floor;
def transport: {"tcp": 6, "udp": 17, "icmp": 1, "ipv6-icmp": 58, "sctp": 132};
def number: transport[.] // (tonumber? // null);
# The numbers of types and codes of ICMP are no ports.
def endpoint($ip; $port; $proto): {ip: $ip} + (if $proto == "tcp" or $proto == "udp" or $proto == "sctp" then {port: $port} else {} end);
def product: {name: "ServeFlow", vendor_name: "ServeFlow"};
def bundle: .model | split("@") | {name: .[0], version: .[1]};

def common: {
    time: (.ts | millis),
    metadata: {version: "1.5.0", product: product, log_name: "labels.jsonl", correlation_uid: (.flow | tostring)},
    unmapped: {serveflow: ({label: .label, score, margin, stage, packets, latency_us, model, reason, agrees}
        | with_entries(select(.value != null)))}
};

# An ATT&CK technique, or a sub-technique with that above it.
def technique: if contains(".") then {technique: {uid: (split(".")[0])}, sub_technique: {uid: .}} else {technique: {uid: .}} end;

def activity: common + {
    class_uid: 4001, category_uid: 4, activity_id: 6, type_uid: 400106, severity_id: 1,
    app_name: .label,
    connection_info: ({direction_id: 0, uid: (.flow | tostring), community_uid: .community_id,
        protocol_name: .proto, protocol_num: (if .proto then .proto | number else null end)}
        | with_entries(select(.value != null))),
} + (if .src then {src_endpoint: endpoint(.src; .sport; .proto), dst_endpoint: endpoint(.dst; .dport; .proto)} else {} end);

def finding: common + {
    class_uid: 2004, category_uid: 2, activity_id: 1, type_uid: 200401, severity_id: 3, status_id: 1,
    confidence_score: (.score * 100 | floor),
    finding_info: ({
        uid: ("\(.sensor)/\(.flow)"), title: "Flow labelled \(.label)",
        desc: "A flow was labelled \(.label) with score \(.score) by \(.model) (\(.reason)).",
        analytic: {type_id: 4, name: (bundle | .name), version: (bundle | .version)},
        created_time: (.ts | millis),
    } + (if $attack[.label] then {attacks: [$attack[.label][] | technique]} else {} end)),
    evidences: [if .src then {src_endpoint: endpoint(.src; .sport; .proto), dst_endpoint: endpoint(.dst; .dport; .proto)}
        else {data: {flow: (.flow | tostring)}} end],
};

activity, (select(.label as $l | $alarms | index($l)) | finding)
