-- ServeFlow's tap in Suricata 7 and 8: forwards the first packets of every flow
-- to the sidecar, over its Unix socket and in its protocol (docs/protocol.md).
--
-- It is a script for Suricata's Lua output, of type packet. Suricata 8 shows
-- whole packets there and the tap sends PACKET; Suricata 7 shows no headers and
-- the tap sends META (serveflow-rule.lua is the way to headers in 7).
--
-- What it must never do is to disturb Suricata, which runs it behind one lock
-- for all threads. A packet of which nothing is wanted is let go at once: the
-- flow's own counters tell its place, and nothing is remembered of any flow.
--
-- It sends no END. A flow's end is told to another script than its packets,
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

-- watched says whether the time of a packet past those that are wanted is of
-- interest: live while something waits to be written. In a capture, whose clock
-- goes on with such packets too, it is that of one in 64.
local passed = 0

local function watched()
  if hello.capture then
    passed = passed + 1
    return passed % 64 == 0
  end
  local link = links[1]
  return link and not link:idle()
end

-- let_go is what is done about such a packet: what waits may be due.
local function let_go(thread, s, us)
  local link = link_of(thread)
  newest = s * 1000000 + us
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

local function packet7()
  local orig_pkts, orig_bytes, resp_pkts, resp_bytes = SCFlowStats()
  if not resp_bytes then
    return -- a packet without a flow
  end
  if orig_pkts + resp_pkts > need.packets then
    if watched() then
      let_go(SCThreadInfo, SCPacketTimestamp())
    end
    return
  end
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

local get_flow, get_packet, thread8 -- Suricata 8 has libraries

local function packet8()
  local flow = get_flow()
  if not flow then
    return -- a packet without a flow
  end
  local orig_pkts, _, resp_pkts = flow:stats()
  if orig_pkts + resp_pkts > need.packets then
    if watched() then
      let_go(thread8, get_packet():timestamp())
    end
    return
  end
  local packet = get_packet()
  local s, us = packet:timestamp()
  if made_up(s, us, flow:timestamps()) then
    return
  end
  local link, ts = link_of(thread8), s * 1000000 + us
  local raw, wire_len, link_type = wanted(packet:packet(), min(need.raw_bytes, 2048), need.payload_bytes,
    function() return packet:payload() end)
  if raw then
    send(link, messages.packet(flow:id(), ts, orig_pkts, resp_pkts, wire_len, link_type, raw), ts)
  end
end

-- Suricata runs this file twice before it calls init, setup once, log for every
-- packet, and deinit.

function init()
  return { type = "packet" }
end

function setup()
  local on_packet
  if SCFlowId then
    on_packet = packet7
    report = function(text) SCLogNotice("serveflow: " .. text) end
  else
    on_packet = packet8
    get_flow, get_packet = require("suricata.flow").get, require("suricata.packet").get
    local thread_info = require("suricata.util").thread_info
    thread8 = function() return thread_info().id end
    local notice = require("suricata.log").notice
    report = function(text) notice("serveflow: " .. text) end
  end
  hello = tap.hello(SCFlowId and "7" or "8", on_packet == packet7)
  local ok, why = tap.link.load_socket()
  if not ok then
    report("no flow will be labelled, luasocket cannot be loaded (Debian's package is lua-socket): " .. why)
    on_packet = function() end
  end
  log = tap.guarded(on_packet, report)
end

-- Suricata wants to see it before setup has made it.
function log() end

deinit = tap.guarded(function()
  for _, link in pairs(links) do
    link:finish(newest)
  end
end, function(text) report(text) end)
