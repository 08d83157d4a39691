-- ServeFlow's tap in Suricata 7 and 8: forwards the first packets of every flow
-- to the sidecar, over its Unix socket and in its protocol (docs/protocol.md).
--
-- It is a script for Suricata's Lua output, of type packet. Suricata 8 shows
-- whole packets there and the tap sends PACKET; Suricata 7 shows no headers and
-- the tap sends META (serveflow-rule.lua is the way to headers in 7).
--
-- It must never disturb Suricata, which runs it under one lock
-- for all threads. A packet of which nothing is wanted is let go at once: the
-- flow's own counters tell its place, and nothing is remembered of any flow.
--
-- It sends no END. Another script than that of packets sees a flow's end,
-- with a connection of its own, and END could overtake them. The flow record in
-- EVE ends the flow, or silence does.

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
local tap = dofile(here .. "serveflow/tap.lua")

local messages, need = tap.messages, tap.link.need
local wanted, error_message = tap.headers.wanted, tap.headers.error_message
local min, sub = math.min, string.sub

local hello, report
local links = {} -- by thread
local newest = 0 -- packet time of the last packet looked at

-- The connection for what the current thread sees. Live there is one for all.
-- Of a capture each thread has its own: the threads are not equally far in it,
-- and the sidecar keeps a clock for each connection.
local function link_of(thread)
  local key = hello.capture and thread() or 1
  local link = links[key]
  if not link then
    link = tap.link.new(hello, report)
    links[key] = link
    if hello.capture then
      link:connect() -- so that what is wanted is known before the first packet is cut
    end
  end
  return link
end

local pass, looked = tap.pacer()

-- let_go is what is done about a packet past those that are wanted: what waits
-- may be due, and a capture's clock goes on.
local function let_go(thread, s, us)
  newest = s * 1000000 + us
  looked(newest)
  local link = link_of(thread)
  if hello.capture and newest >= link.stats_due then
    link:tell(newest)
  end
  if not link:idle() and link:due(newest) then
    link:flush()
  end
end

local function send(link, message, ts)
  newest = ts
  link:add(message, ts)
  if link:due(ts) then
    link:flush()
  end
end

-- made_up says whether Suricata made the packet up to end a stream, from its time
-- and from that of the flow's newest packet. Such a packet has a time of its own
-- and is not one of the flow. Packets that overtook each other on their way into
-- Suricata are older than the newest too, but not by a second.
local function made_up(s, us, _, newest_s, _, newest_us)
  local late = (newest_s - s) * 1000000 + newest_us - us
  return late < 0 or late > 1000000
end

local function send7(orig_pkts, orig_bytes, resp_pkts, resp_bytes)
  local s, us = SCPacketTimestamp()
  if made_up(s, us, SCFlowTimestamps()) then
    return
  end
  local version, src, dst, proto, sport, dport = SCPacketTuple()
  if version ~= 4 and version ~= 6 or error_message(proto, sport) then
    return
  end
  local link, ts, payload = link_of(SCThreadInfo), s * 1000000 + us, SCPacketPayload()
  local kept = payload and need.payload_bytes > 0 and sub(payload, 1, min(need.payload_bytes, 2048))
  send(link, messages.meta(SCFlowId(), ts, orig_pkts, resp_pkts, orig_bytes, resp_bytes,
    proto, src, sport, dst, dport, payload and #payload, kept), ts)
end

-- Suricata 8 has libraries, and objects with methods, which are kept as functions.
local get_flow, get_packet, thread8
local flow_id, flow_times, packet_time, packet_raw, packet_payload

local function send8(flow, orig_pkts, resp_pkts)
  local packet = get_packet()
  if not flow_id then
    flow_id, flow_times = flow.id, flow.timestamps
    packet_time, packet_raw, packet_payload = packet.timestamp, packet.packet, packet.payload
  end
  local s, us = packet_time(packet)
  if made_up(s, us, flow_times(flow)) then
    return
  end
  local link, ts = link_of(thread8), s * 1000000 + us
  local raw, wire_len, link_type = wanted(packet_raw(packet), min(need.raw_bytes, 2048), need.payload_bytes,
    packet_payload, packet)
  if raw then
    send(link, messages.packet(flow_id(flow), ts, orig_pkts, resp_pkts, wire_len, link_type, raw), ts)
  end
end

-- What runs for every packet. It is guarded only where it does something: where
-- most packets are let go, there is nothing that could go wrong.

local function tap7(guarded)
  local SCFlowStats = SCFlowStats
  local guarded_send = guarded(send7)
  local guarded_let_go = guarded(function() let_go(SCThreadInfo, SCPacketTimestamp()) end)
  return function()
    local orig_pkts, orig_bytes, resp_pkts, resp_bytes = SCFlowStats()
    if not resp_bytes then
      return -- a packet without a flow
    elseif orig_pkts + resp_pkts <= need.packets then
      guarded_send(orig_pkts, orig_bytes, resp_pkts, resp_bytes)
    elseif not pass() then
      guarded_let_go()
    end
  end
end

local function tap8(guarded)
  get_flow, get_packet = require("suricata.flow").get, require("suricata.packet").get
  local thread_info = require("suricata.util").thread_info
  thread8 = function() return thread_info().id end
  local guarded_send = guarded(send8)
  local guarded_let_go = guarded(function() let_go(thread8, get_packet():timestamp()) end)
  local flow_stats
  return function()
    local flow = get_flow()
    if not flow then
      return -- a packet without a flow
    end
    flow_stats = flow_stats or flow.stats
    local orig_pkts, _, resp_pkts = flow_stats(flow)
    if orig_pkts + resp_pkts <= need.packets then
      guarded_send(flow, orig_pkts, resp_pkts)
    elseif not pass() then
      guarded_let_go()
    end
  end
end

-- Suricata runs this file twice before it calls init, setup once, log for every
-- packet, and deinit.

function init()
  return { type = "packet" }
end

function setup()
  local seven = SCFlowId ~= nil
  local notice = seven and SCLogNotice or require("suricata.log").notice
  report = function(text) notice("serveflow: " .. text) end
  hello = tap.hello(seven and "7" or "8", seven)
  local ok, why = tap.link.load_socket()
  if not ok then
    report("no flow will be labelled, luasocket cannot be loaded (Debian's package is lua-socket): " .. why)
    return
  end
  log = (seven and tap7 or tap8)(function(f) return tap.guarded(f, report) end)
end

-- Suricata wants to see it before setup has made it.
function log() end

deinit = tap.guarded(function()
  for _, link in pairs(links) do
    link:finish(newest)
  end
end, function(text) report(text) end)
