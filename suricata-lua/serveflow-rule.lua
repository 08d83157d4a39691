-- ServeFlow's tap in the rules of Suricata 7, which show a script the whole
-- packet, as the Lua output of Suricata 7 does not. With serveflow.rules it is
-- the way to headers, and so to the models that were trained on them.
--
-- Each thread of Suricata has a state of its own here: no lock is shared, and
-- each thread has a connection to the sidecar.
--
-- Suricata tells a rule's script neither that it starts, so it connects at its
-- first packet, nor that it stops. But it closes the Lua state, which finalizes
-- what is in it: that is where the last messages are sent.

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
local tap = dofile(here .. "serveflow/tap.lua")

local messages, need, wanted = tap.messages, tap.link.need, tap.headers.wanted
local min = math.min

local link
local newest = 0 -- packet time of the last packet looked at
local final -- is finalized when the state is closed

local function report(text)
  SCLogNotice("serveflow: " .. text)
end

local function start()
  link = false -- no second attempt
  local ok, why = tap.link.load_socket()
  if not ok then
    report("no flow will be labelled, luasocket cannot be loaded (Debian's package is lua-socket): " .. why)
    return
  end
  link = tap.link.new(tap.hello("7", false), report)
  -- What was made last is finalized first: the socket is still open then.
  link.on_connect = function()
    final = newproxy(true)
    getmetatable(final).__gc = tap.guarded(function(proxy)
      if proxy == final then
        -- Suricata's functions are of no use any more.
        link.report = function() end
        link:finish(newest)
      end
    end, function() end)
  end
  if link.hello.capture then
    link:connect()
  end
end

local pass, looked = tap.pacer()

-- let_go is what is done about a packet past those that are wanted: what waits
-- may be due, and a capture's clock goes on.
local function let_go()
  local s, us = SCPacketTimestamp()
  newest = s * 1000000 + us
  looked(newest)
  if link and link.hello.capture and newest >= link.stats_due then
    link:tell(newest)
  end
  if link and not link:idle() and link:due(newest) then
    link:flush()
  end
end

local function send(raw_packet, orig_pkts, resp_pkts)
  if link == nil then
    start()
  end
  if not link then
    return
  end
  local s, us = SCPacketTimestamp()
  local ts = s * 1000000 + us
  newest = ts
  local raw, wire_len, link_type = wanted(raw_packet, min(need.raw_bytes, 2048), need.payload_bytes, SCPacketPayload)
  if raw then
    link:add(messages.packet(SCFlowId(), ts, orig_pkts, resp_pkts, wire_len, link_type, raw), ts)
  end
  if not link:idle() and link:due(ts) then
    link:flush()
  end
end

local guarded_send, guarded_let_go = tap.guarded(send, report), tap.guarded(let_go, report)

function init()
  return { packet = "true" }
end

-- What runs for every packet is guarded only where it does something. A match sets the
-- flowbit that keeps the flow's further packets from the script, for a call of a script is
-- what costs. Live that is as soon as nothing waits to be written. The packets of a
-- capture are its clock, so all of them come.
function match(args)
  local orig_pkts, _, resp_pkts, resp_bytes = SCFlowStats()
  if not resp_bytes then
    return 0 -- a packet without a flow
  elseif orig_pkts + resp_pkts <= need.packets then
    guarded_send(args.packet, orig_pkts, resp_pkts)
  elseif link and not link.hello.capture and link:idle() then
    return 1
  elseif not pass() then
    guarded_let_go()
  end
  return 0
end
