-- A sidecar and a luasocket that are not there: package.loaded gets them, and
-- the tests look at what was sent and say what comes back.

local fake = {}

-- new is a world in which nothing has happened yet.
function fake.new()
  local world = {
    now = 1000, -- seconds on the clock; waiting moves it
    sent = "", -- over all connections
    answers = "", -- to be read
    room = math.huge, -- bytes that the socket still takes
    refuse = nil, -- why connecting fails
    broken = nil, -- why everything on a connection fails
    connects = 0, -- attempts
    open = 0,
    reports = {},
  }
  function world.report(text)
    world.reports[#world.reports + 1] = text
  end

  local socket = {}
  socket.__index = socket
  function socket:settimeout(seconds)
    self.seconds = seconds
  end
  function socket.connect()
    world.connects = world.connects + 1
    if world.refuse then
      return nil, world.refuse
    end
    world.open = world.open + 1
    return 1
  end
  function socket:send(data, from)
    if world.broken then
      return nil, world.broken, from - 1
    end
    local n = math.min(world.room, #data - from + 1)
    world.sent, world.room = world.sent .. data:sub(from, from + n - 1), world.room - n
    if from + n - 1 == #data then
      return #data
    end
    world.now = world.now + self.seconds
    return nil, "timeout", from + n - 1
  end
  function socket:receive(n)
    local got = world.answers:sub(1, n)
    world.answers = world.answers:sub(n + 1)
    if #got == n then
      return got
    elseif world.broken then
      return nil, world.broken, got
    end
    world.now = world.now + self.seconds
    return nil, "timeout", got
  end
  function socket.close()
    world.open = world.open - 1
  end

  package.loaded["socket.unix"] = { stream = function() return setmetatable({}, socket) end }
  package.loaded["socket.core"] = { gettime = function() return world.now end }
  return world
end

-- What a sidecar says.
fake.welcome = "\147\17\1\131\167packets\3\169raw_bytes\120\173payload_bytes\0"
fake.synced = "\146\18\1"

function fake.error(code, text)
  return "\147\19" .. string.char(code, 0xa0 + #text) .. text
end

-- kinds names the messages in what was sent, in order.
function fake.kinds(messages, bytes)
  local names = { [0] = "HELLO", "PACKET", "META", "END", "SYNC", "STATS" }
  local kinds, at = {}, 1
  while at <= #bytes do
    local message, after = messages.unpack(bytes, at)
    assert(after, "the last message is not whole")
    kinds[#kinds + 1] = names[message[1]]
    at = after
  end
  return table.concat(kinds, " ")
end

return fake
