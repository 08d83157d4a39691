-- The connection to the sidecar, with its buffer. Live it never waits: what the
-- socket does not take stays in the buffer, and what the buffer does not take is
-- dropped and counted, whole messages at a time. A capture waits for the sidecar,
-- with a time limit.

local messages, settings = ...

local concat, min, sub = table.concat, math.min, string.sub

-- What is wanted of each flow; until WELCOME says so, what the protocol allows.
local need = { packets = 10, raw_bytes = 192, payload_bytes = 0 }

-- How luasocket makes a Unix socket, and its clock; nil, and why, without it.
local unix, clock

local function load_socket()
  local ok, sockets = pcall(require, "socket.unix")
  if not ok then
    return nil, sockets
  end
  local core
  ok, core = pcall(require, "socket.core")
  if not ok then
    return nil, core
  end
  -- Before luasocket 3.1 the module was the function itself.
  unix, clock = type(sockets) == "table" and sockets.stream or sockets, core.gettime
  return true
end

local Link = {}
Link.__index = Link

-- new is a connection that is not made yet. hello is what HELLO says; report is
-- called with what a person should know.
local function new(hello, report)
  return setmetatable({
    hello = hello,
    report = report,
    batch = {}, -- packed messages that wait
    count = 0, -- of them
    bytes = 0, -- in them
    since = 0, -- packet time of the oldest
    flight = "", -- bytes being written,
    flown = 0, -- how many of them are written,
    aboard = 0, -- and the messages in them
    inbox = "", -- bytes read that are no whole message yet
    sent = 0,
    dropped = 0,
    stats_due = 0, -- packet time of the next STATS
    pause = 1, -- seconds before the next attempt to connect,
    idle_until = 0, -- which is not before this, nor is the next write
  }, Link)
end

-- lose gives up the connection: what was being written is lost and counted, what
-- waits is kept for the next one.
function Link:lose(why, pause)
  if self.socket then
    self.socket:close()
    self.socket = nil
    self.report("the connection to the sidecar is over: " .. why)
  end
  self.sent = self.sent - self.aboard
  self.dropped = self.dropped + self.aboard
  self.flight, self.flown, self.aboard, self.inbox = "", 0, 0, ""
  self.welcomed = false
  self.idle_until = clock() + (pause or self.pause)
  self.pause = min(self.pause * 2, 5)
end

-- give_up is how a capture's patience ends: once, not again at every attempt.
function Link:give_up(why)
  self.stopped = true
  self:lose(why)
end

-- connect says whether there is a connection, made now if its time has come.
function Link:connect()
  if self.socket then
    return true
  end
  if self.stopped or clock() < self.idle_until then
    return false
  end
  local socket, why = unix()
  if socket then
    socket:settimeout(0)
    local ok
    ok, why = socket:connect(settings.socket)
    if ok then
      self.socket = socket
      self.flight = messages.hello(self.hello)
      if self.on_connect then
        self.on_connect(self)
      end
      -- A capture can wait for what is wanted, and so send the same each time.
      if self.hello.capture then
        return self:write() and self:await("welcomed")
      end
      return true
    end
    socket:close()
  end
  if not self.absent then
    self.absent = true -- say it once
    self.report("no sidecar at " .. settings.socket .. " (" .. tostring(why) .. "): trying again")
  end
  self:lose(why)
  return false
end

-- What an ERROR asks for (docs/protocol.md): some are forever, some for long.
local FOR_EVER, FOR_LONG = { [2] = true, [4] = true }, { [1] = true, [3] = true }

-- hear takes one message of the sidecar and says whether the connection goes on.
function Link:hear(m)
  local kind = m[1]
  if kind == 17 and type(m[3]) == "table" then
    need.packets = m[3].packets or 0
    need.raw_bytes = m[3].raw_bytes or 0
    need.payload_bytes = m[3].payload_bytes or 0
    if not self.welcomed then
      self.welcomed, self.absent, self.pause = true, false, 1
      self.report("the sidecar wants " .. need.packets .. " packets of a flow")
    end
  elseif kind == 18 then
    self.synced = m[2]
  elseif kind == 19 then
    self.stopped = FOR_EVER[m[2]]
    self:lose("it says: " .. tostring(m[3]), FOR_LONG[m[2]] and 300)
    return false
  end
  return true
end

-- read takes what has come, waiting for at most so many seconds, and says whether
-- the connection goes on.
function Link:read(seconds)
  self.socket:settimeout(seconds)
  -- One byte is waited for, then all that is there is taken.
  local first, why = self.socket:receive(1)
  if first then
    self.socket:settimeout(0)
    local rest, stop, partial = self.socket:receive(65536)
    self.inbox = self.inbox .. first .. (rest or partial or "")
    why = stop
  end
  while true do
    local message, after = messages.unpack(self.inbox, 1)
    if not after then
      break
    end
    self.inbox = sub(self.inbox, after)
    if type(message) ~= "table" then
      self:lose("it does not speak the protocol", 300)
      return false
    elseif not self:hear(message) then
      return false
    end
  end
  if why and why ~= "timeout" then
    self:lose(why)
    return false
  end
  return true
end

-- write writes what is in flight, and then what waits, and says whether the
-- connection goes on. A live tap leaves what the socket does not take.
function Link:write()
  local wait = self.hello.capture and settings.patience or 0
  while self.count > 0 or self.flown < #self.flight do
    if self.flown == #self.flight then
      self.flight, self.flown, self.aboard = concat(self.batch, "", 1, self.count), 0, self.count
      self.sent = self.sent + self.count
      self.count, self.bytes = 0, 0
    end
    self.socket:settimeout(wait)
    local done, why, partly = self.socket:send(self.flight, self.flown + 1)
    self.flown = done or partly
    if not done then
      if why ~= "timeout" then
        -- The reason may have been said before the connection was closed.
        if self:read(0) then
          self:lose(why)
        end
        return false
      elseif wait > 0 then
        self:give_up("it has not read for " .. wait .. " s")
        return false
      end
      self.idle_until = clock() + 0.01
      return true
    end
  end
  self.flight, self.flown, self.aboard = "", 0, 0
  return true
end

-- await reads until a field has the wanted value, and says whether it came to
-- that.
function Link:await(field, want)
  local deadline = clock() + settings.patience
  want = want or true
  while self[field] ~= want do
    local left = deadline - clock()
    if left <= 0 then
      self:give_up("nothing came for " .. settings.patience .. " s")
      return false
    elseif not self:read(left) then
      return false
    end
  end
  return true
end

-- flush sends what waits, as far as that is possible now.
function Link:flush()
  if self:connect() and clock() >= self.idle_until and self:read(0) then
    self:write()
  end
end

-- add puts a message into the batch, or drops it when the buffer is full.
function Link:add(message, ts)
  if self.bytes + #self.flight + #message > settings.buffer_bytes then
    self.dropped = self.dropped + 1
    return self:flush()
  end
  if self.count == 0 then
    self.since = ts
  end
  self.count = self.count + 1
  self.batch[self.count] = message
  self.bytes = self.bytes + #message
  if ts >= self.stats_due then
    self:tell(ts)
  end
  if self.bytes >= settings.batch_bytes then
    self:flush()
  end
end

-- tell sends STATS, which a second of packet time later are due again.
function Link:tell(ts)
  self.stats_due = ts + 1000000
  self:add(messages.stats(ts, self.sent + self.count, self.dropped), ts)
end

-- due says whether the oldest message has waited for long enough, or the
-- packets' clock was set back.
function Link:due(ts)
  local waited = ts - self.since
  return waited >= settings.batch_us or waited < -1000000
end

-- idle says that there is nothing to write.
function Link:idle()
  return self.count == 0 and self.flight == ""
end

-- finish sends what is left and closes the connection. A capture's flows are
-- ended and their decisions waited for.
function Link:finish(ts)
  if not self:idle() or self.socket then
    if self.hello.capture and self:connect() then
      self:add(messages.sync(1), ts)
      if self.socket and self:write() then
        self:await("synced", 1)
      end
    elseif not self.hello.capture then
      self:flush()
    end
  end
  local lost = self.dropped + self.count + self.aboard
  if lost > 0 then
    self.report(lost .. " of " .. lost + self.sent - self.aboard .. " messages did not reach the sidecar")
  end
  if self.socket then
    self.socket:close()
    self.socket = nil
  end
end

return { new = new, need = need, load_socket = load_socket }
