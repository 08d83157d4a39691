-- The connection: what a live tap does with a sidecar that is slow, absent or
-- gone, and what a capture waits for.

local fake = loadfile(TESTS .. "fake.lua")()
local messages = loadfile(SCRIPTS .. "serveflow/msgpack.lua")()

local MESSAGE = messages.sync(1) -- any will do
local SECOND = 1000000

local function begin(capture, limits)
  local world = fake.new()
  local settings = { socket = "/nowhere", batch_bytes = 64, batch_us = 100000, buffer_bytes = 200, patience = 30 }
  for key, value in pairs(limits or {}) do
    settings[key] = value
  end
  local module = loadfile(SCRIPTS .. "serveflow/link.lua")(messages, settings)
  assert(module.load_socket())
  local link = module.new({ version = "8", sensor = "s", capture = capture }, world.report)
  link.stats_due = math.huge -- but where STATS is what is tested
  return link, world, module.need
end

local function add(link, n, ts)
  for _ = 1, n do
    link:add(MESSAGE, ts or SECOND)
  end
end

local tests = {}

function tests.connects_when_there_is_something_to_send()
  local link, world = begin()
  assert(world.connects == 0)
  add(link, 2)
  assert(world.connects == 0 and not link:idle())
  link:flush()
  assert(fake.kinds(messages, world.sent) == "HELLO SYNC SYNC" and link:idle())
end

function tests.a_batch_is_due_by_bytes_or_by_time()
  local link, world = begin()
  add(link, 16) -- of 4 bytes
  assert(#world.sent > 64 and link:idle())
  add(link, 1, 10 * SECOND)
  assert(not link:due(10 * SECOND + 99999) and link:due(10 * SECOND + 100000))
  assert(link:due(8 * SECOND), "the clock was set back")
  assert(not link:due(10 * SECOND - 100), "packets overtook each other")
end

function tests.learns_what_is_wanted()
  local link, world, need = begin()
  assert(need.packets == 10 and need.raw_bytes == 192 and need.payload_bytes == 0)
  world.answers = fake.welcome
  add(link, 1)
  link:flush()
  assert(need.packets == 3 and need.raw_bytes == 120)
end

function tests.a_slow_sidecar_gets_whole_messages_or_none()
  local link, world = begin()
  add(link, 1)
  link:flush()
  local before = #world.sent
  world.room = 10
  add(link, 300)
  assert(link.dropped > 0 and link.count + link.aboard + link.dropped == 300)
  assert(#world.sent == before + 10)
  world.room, world.now = math.huge, world.now + 1
  link:flush()
  assert(link:idle())
  local kinds = fake.kinds(messages, world.sent)
  assert(select(2, kinds:gsub("SYNC", "")) == 301 - link.dropped)
end

function tests.a_full_socket_is_left_alone_for_a_while()
  local link, world = begin()
  world.room = 0
  add(link, 16)
  world.room = math.huge
  link:flush()
  assert(world.sent == "", "tried again at once")
  world.now = world.now + 0.01
  link:flush()
  assert(link:idle())
end

function tests.never_waits_live()
  local link, world = begin()
  world.room = 5
  add(link, 100)
  link:finish(SECOND)
  assert(world.now == 1000)
end

function tests.an_absent_sidecar_is_looked_for_less_and_less()
  local link, world = begin()
  world.refuse = "No such file or directory"
  local attempts = {}
  for second = 0, 30 do
    world.now = 1000 + second
    local before = world.connects
    add(link, 40)
    if world.connects > before then
      attempts[#attempts + 1] = second
    end
  end
  assert(table.concat(attempts, " ") == "0 1 3 7 12 17 22 27", table.concat(attempts, " "))
  assert(link.bytes <= 200 and link.dropped == 31 * 40 - link.count)
  assert(#world.reports == 1, "said more than once")
end

function tests.begins_again_with_hello_when_the_connection_broke()
  local link, world = begin()
  world.answers = fake.welcome
  add(link, 1)
  link:flush()
  world.broken = "closed"
  add(link, 16)
  assert(world.open == 0 and link.sent + link.dropped + link.count == 17)
  world.broken, world.sent, world.now = nil, "", world.now + 1
  link:flush()
  assert(world.sent:sub(1, 3) == "\147\0\1" and world.open == 1)
end

function tests.heeds_errors()
  local pauses = { [1] = 300, [2] = math.huge, [3] = 300, [4] = math.huge, [5] = 1, [7] = 1, [8] = 1, [99] = 1 }
  for code, pause in pairs(pauses) do
    local link, world = begin()
    world.answers = fake.error(code, "no")
    add(link, 1)
    link:flush()
    assert(world.open == 0 and world.reports[1]:find("no", 1, true))
    add(link, 1)
    world.now = 1000 + math.min(pause, 1e6) - 0.5
    link:flush()
    assert(world.connects == 1, "error " .. code .. ": too soon")
    world.now = 1000 + math.min(pause, 1e6)
    link:flush()
    assert(world.connects == (pause == math.huge and 1 or 2), "error " .. code)
  end
end

function tests.stops_talking_to_what_is_no_sidecar()
  local link, world = begin()
  world.answers = "\42"
  add(link, 1)
  link:flush()
  assert(world.open == 0)
end

function tests.stats_come_once_a_second()
  local link, world = begin()
  link.stats_due = 0
  add(link, 3, 10 * SECOND)
  add(link, 3, 11 * SECOND - 1)
  add(link, 3, 11 * SECOND)
  link:flush()
  assert(fake.kinds(messages, world.sent) == "HELLO SYNC STATS SYNC SYNC SYNC SYNC SYNC SYNC STATS SYNC SYNC")
end

function tests.a_capture_knows_what_is_wanted_before_it_sends()
  local link, world, need = begin(true)
  world.answers = fake.welcome
  assert(link:connect() and need.packets == 3 and fake.kinds(messages, world.sent) == "HELLO")
end

function tests.a_capture_ends_with_a_barrier()
  local link, world = begin(true)
  world.answers = fake.welcome
  link:connect()
  link:add(messages.stats(1, 0, 0), SECOND)
  world.answers = fake.synced
  link:finish(2 * SECOND)
  assert(fake.kinds(messages, world.sent) == "HELLO STATS SYNC" and world.open == 0)
  assert(#world.reports == 1, table.concat(world.reports, "; ")) -- what is wanted
end

function tests.a_capture_has_patience_once()
  for _, stalled in ipairs { "write", "welcome", "synced" } do
    local link, world = begin(true)
    world.answers = stalled == "welcome" and "" or fake.welcome
    link:connect()
    if stalled == "write" then
      world.room = 3
      add(link, 100)
    end
    add(link, 1)
    link:finish(SECOND)
    local waited = world.now - 1000
    assert(waited >= 30 and waited < 31, stalled .. ": waited " .. waited)
    world.now = world.now + 1000
    add(link, 100)
    link:flush()
    assert(world.connects == 1 and world.now == 2000 + waited, stalled .. ": tried again")
  end
end

function tests.says_what_was_lost()
  local link, world = begin(true)
  world.refuse = "Connection refused"
  add(link, 100)
  link:finish(SECOND)
  assert(world.reports[2] == "100 of 100 messages did not reach the sidecar", world.reports[2])
end

return tests
