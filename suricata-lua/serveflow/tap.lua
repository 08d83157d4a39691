-- What serveflow.lua and serveflow-rule.lua share: a loader of the parts, and
-- what a tap says of itself.

local dir = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"

local function part(name, ...)
  return assert(loadfile(dir .. name .. ".lua"))(...)
end

-- Suricata 8 starts with empty search paths. luasocket's C modules are all that
-- is needed; the places are those of Debian and of builds from source. Others go
-- into the YAML (lua: cpath:).
if package.cpath == "" then
  local places = {}
  for _, lib in ipairs { "lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu", "lib64", "lib", "local/lib" } do
    places[#places + 1] = "/usr/" .. lib .. "/lua/5.4/?.so"
  end
  package.cpath = table.concat(places, ";")
end

local settings = part("settings")
local messages = part("msgpack")
local headers = part("headers")
local link = part("link", messages, settings)

local function contents(path)
  local file = io.open(path, "rb")
  if not file then
    return ""
  end
  local text = file:read("*a")
  file:close()
  return text
end

-- reads_capture says whether Suricata, started with the arguments in that file,
-- reads captures; its own API does not tell. Before -r may stand what takes no
-- value, as in -vr. With --unix-socket it reads those that are named over its
-- command socket.
local function reads_capture(cmdline)
  for arg in contents(cmdline):gmatch("%Z+") do
    if arg:find("^%-[DTVhuv]*r") or arg:find("^%-%-pcap%-file") or arg:find("^%-%-unix%-socket") then
      return true
    end
  end
  return false
end

-- run names this run of Suricata, the same in all its threads: random numbers
-- are not, for each has a Lua state of its own. In two containers the process id
-- and its start may be the same, and the host name is not.
local function run(stat, hostname)
  local pid, fields = stat:match("^(%d+) .*%) %S+(.*)")
  local started, n = nil, 3
  for field in (fields or ""):gmatch("%S+") do
    n = n + 1
    if n == 22 then
      started = field
    end
  end
  return started and pid .. "-" .. started .. "-" .. hostname:match("%C*")
end

-- hello is what HELLO says. It asks for no labels: to use them the tap would
-- have to remember each flow and look it up for each packet, to save at most
-- the rest of the first packets of flows that are decided early.
local function hello(version, meta)
  return {
    version = version,
    meta = meta,
    sensor = settings.sensor,
    capture = reads_capture("/proc/self/cmdline"),
    pid = tonumber(contents("/proc/self/stat"):match("^%d+")),
    run = run(contents("/proc/self/stat"), contents("/proc/sys/kernel/hostname")),
  }
end

-- guarded wraps a function that Suricata calls: a mistake in it must not become
-- one of Suricata, which would log it for every packet.
local function guarded(f, report)
  local failed = false
  return function(...)
    local ok, why = pcall(f, ...)
    if not ok and not failed then
      failed = true
      report("a fault in the script: " .. tostring(why))
    end
  end
end

-- pacer says which of the packets that nobody wants are looked at, for the time:
-- all where there are few, up to one in 16 where 16 come within a hundredth of a
-- second. pass() says that the next one is not; after a look, looked(ts) wants to
-- know its time.
local function pacer()
  local left, stride, last = 0, 1, 0
  local function pass()
    if left > 0 then
      left = left - 1
      return true
    end
    return false
  end
  local function looked(ts)
    local apart = ts - last
    stride = apart >= 0 and apart < 10000 and math.min(stride * 2, 16) or 1
    left, last = stride - 1, ts
  end
  return pass, looked
end

return {
  settings = settings, messages = messages, headers = headers, link = link,
  reads_capture = reads_capture, hello = hello, guarded = guarded, pacer = pacer,
}
