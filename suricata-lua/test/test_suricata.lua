-- serveflow.lua and serveflow-rule.lua with a stub of Suricata's API.

local fake = loadfile(TESTS .. "fake.lua")()
local messages = loadfile(SCRIPTS .. "serveflow/msgpack.lua")()

local RAW = ("\2"):rep(12) .. "\8\0" .. "\69\0\0\32\0\0\64\0\64\17\0\0" .. "\192\0\2\1" .. "\198\51\100\7"
  .. "\195\80\0\53\0\12\0\0" .. "pay!"

-- A packet as the stub shows it: the current one.
local packet

local function show(changes)
  packet = { flow = 2 ^ 40, orig = 1, resp = 0, s = 1700000000, us = 5, last_s = 1700000000, last_us = 5, proto = 17,
    sport = 50000, thread = 1, raw = RAW }
  for key, value in pairs(changes or {}) do
    packet[key] = value
  end
end

-- What Suricata 7 and 8 give a script; both leave out what the other has.
local function stub7()
  SCFlowStats = function()
    if not packet.flow then
      return nil, "internal error: no flow"
    end
    return packet.orig, 100, packet.resp, 200
  end
  SCFlowId = function() return packet.flow end
  SCFlowTimestamps = function() return 0, packet.last_s, 0, packet.last_us end
  SCPacketTimestamp = function() return packet.s, packet.us end
  SCPacketTuple = function() return 4, "192.0.2.1", "198.51.100.7", packet.proto, packet.sport, 53 end
  SCPacketPayload = function() return "pay!" end
  SCThreadInfo = function() return packet.thread, "W#01", "Detect" end
end

local function stub8()
  SCFlowId = nil
  local flow, shown = {}, {}
  function flow.stats() return packet.orig, 100, packet.resp, 200 end
  function flow.id() return packet.flow end
  function flow.timestamps() return 0.0, packet.last_s + 0.0, 0.0, packet.last_us + 0.0 end
  function shown.timestamp() return packet.s + 0.0, packet.us + 0.0 end
  function shown.packet() return packet.raw end
  function shown.payload() return "pay!" end
  package.loaded["suricata.flow"] = { get = function() return packet.flow and flow end }
  package.loaded["suricata.packet"] = { get = function() return shown end }
  package.loaded["suricata.util"] = { thread_info = function() return { id = packet.thread } end }
end

-- start loads the script as Suricata does: the chunk runs twice.
local function start(version)
  local world = fake.new()
  SCLogNotice = world.report
  package.loaded["suricata.log"] = { notice = world.report }
  if version == 7 then
    stub7()
  else
    stub8()
  end
  dofile(SCRIPTS .. "serveflow.lua")
  dofile(SCRIPTS .. "serveflow.lua")
  assert(init().type == "packet")
  setup()
  world.answers = fake.welcome
  return world
end

local function run(changes)
  show(changes)
  log({})
end

local function sent(world)
  return fake.kinds(messages, world.sent)
end

local tests = {}

for _, version in ipairs { 7, 8 } do
  local kind = version == 7 and "META" or "PACKET"
  local function name(text)
    return ("suricata_%d_%s"):format(version, text)
  end

  tests[name "sends_the_first_packets"] = function()
    local world = start(version)
    run()
    run { orig = 1, resp = 1, s = 1700000001, last_s = 1700000001 }
    assert(sent(world) == "HELLO " .. kind .. " STATS " .. kind .. " STATS", sent(world))
    -- The sidecar wants 3 packets; past them only what is due is looked at.
    run { orig = 3, resp = 1 }
    run { orig = 2, resp = 1, s = 1700000002, last_s = 1700000002 }
    deinit()
    assert(select(2, sent(world):gsub(kind, "")) == 3, sent(world))
    assert(#world.reports == 1, table.concat(world.reports, "; "))
  end

  tests[name "flushes_with_packets_that_nobody_wants"] = function()
    local world = start(version)
    run()
    run { orig = 2 } -- not due
    assert(world.sent == "")
    run { orig = 50, s = 1700000001 }
    assert(sent(world) == "HELLO " .. kind .. " STATS " .. kind, sent(world))
  end

  tests[name "looks_at_few_of_many_packets_and_at_all_of_few"] = function()
    local world = start(version)
    run()
    local looks = 0
    local function count(times)
      return function(...)
        looks = looks + 1
        return times(...)
      end
    end
    if version == 7 then
      SCPacketTimestamp = count(SCPacketTimestamp)
    else
      local shown = package.loaded["suricata.packet"].get()
      shown.timestamp = count(shown.timestamp)
    end
    for i = 1, 1615 do -- looks at 1, 2, 4, 8, 16 and every 16th
      run { orig = 50, us = 6 + i }
    end
    assert(looks == 104, looks)
    run { orig = 50, s = 1700000001 } -- the traffic stops: late by 15 packets at most
    for i = 2, 17 do
      run { orig = 50, s = 1700000000 + i }
    end
    assert(sent(world) == "HELLO " .. kind .. " STATS", sent(world))
    looks = 0
    for i = 1, 20 do
      run { orig = 50, s = 1700000100 + i }
    end
    assert(looks == 20, looks)
  end

  tests[name "leaves_out_what_is_no_packet_of_a_flow"] = function()
    local world = start(version)
    run { flow = false }
    run { us = 6 } -- made up, newer than the flow
    run { s = 1600000000 } -- made up, long before
    run { proto = 1, sport = 3, raw = RAW:gsub("\64\17", "\64\1"):gsub("\195\80", "\3\3") }
    run { us = 4 } -- overtaken by another
    deinit()
    assert(sent(world) == "HELLO " .. kind .. " STATS", sent(world))
  end

  tests[name "a_fault_is_said_once"] = function()
    local world = start(version)
    run { s = "no number" }
    run { s = "no number" }
    assert(#world.reports == 1 and world.reports[1]:find("a fault in the script"))
  end

  tests[name "does_without_luasocket"] = function()
    local world = fake.new()
    package.loaded["socket.unix"] = nil
    package.preload["socket.unix"] = function() error("not there") end
    SCLogNotice = world.report
    package.loaded["suricata.log"] = { notice = world.report }
    dofile(SCRIPTS .. "serveflow.lua")
    setup()
    run()
    deinit()
    package.preload["socket.unix"] = nil
    assert(#world.reports == 1 and world.reports[1]:find("lua-socket", 1, true), world.reports[1])
  end
end

function tests.meta_says_what_suricata_7_knows()
  local world = start(7)
  run { orig = 2, resp = 1 }
  deinit()
  local hello, after = messages.unpack(world.sent, 1)
  local meta = messages.unpack(world.sent, after)
  assert(hello[3].engine == "suricata" and hello[3].engine_version == "7" and hello[3].events == "meta")
  assert(hello[3].mode == "live" and hello[3].reply == false)
  assert(hello[3].run:match("^%d+%-%d+%-.") and hello[3].run:match("^%d+") == tostring(hello[3].pid), hello[3].run)
  local want = { 2, 2 ^ 40, 1700000000000005, 2, 2, 1, 100, 200, 17, "192.0.2.1", 50000, "198.51.100.7", 53, 4, false }
  for i = 1, 15 do
    assert(meta[i] == want[i], "element " .. i .. ": " .. tostring(meta[i]))
  end
end

function tests.packet_carries_headers_alone()
  local world = start(8)
  run()
  deinit()
  local _, after = messages.unpack(world.sent, 1)
  local message = messages.unpack(world.sent, after)
  assert(message[7] == 32 and message[8] == 101 and message[9] == RAW:sub(15, 42))
end

-- LuaJIT alone: Suricata 7.
if newproxy then
  function tests.rule_sends_its_tail_when_the_state_is_closed()
    local world = fake.new()
    SCLogNotice = world.report
    stub7()
    init, match = nil, nil
    dofile(SCRIPTS .. "serveflow-rule.lua")
    assert(init({}).packet == "true")
    world.answers = fake.welcome
    for i = 1, 3 do
      show { orig = i, flow = 2 ^ 40 + i }
      assert(match({ packet = RAW }) == 0)
    end
    show { flow = false }
    assert(match({ packet = RAW }) == 0)
    assert(world.sent == "")
    show { orig = 50, s = 1700000001 }
    match({ packet = RAW })
    assert(sent(world) == "HELLO PACKET STATS PACKET PACKET", sent(world))
    -- Nothing waits, so that the flow need not be shown any more.
    assert(match({ packet = RAW }) == 1)
    show { orig = 1, flow = 2 ^ 41, s = 1700000001, us = 9 }
    assert(match({ packet = RAW }) == 0)
    show { orig = 50, s = 1700000001, us = 10 }
    assert(match({ packet = RAW }) == 0) -- something waits
    -- As closing the state does with what is in it, compiled code too.
    init, match = nil, nil
    jit.flush()
    collectgarbage()
    collectgarbage()
    assert(sent(world) == "HELLO PACKET STATS PACKET PACKET PACKET STATS" and world.open == 0, sent(world))
  end
end

return tests
