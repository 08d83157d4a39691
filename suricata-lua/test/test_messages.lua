-- Messages against the vectors of the Go codec: suricata-lua/test/vectors, which
-- "go test ./test/suricata -run Vectors -update" writes. A line is a function of
-- serveflow/msgpack.lua, the expected bytes in hex, and its arguments.

local fake = loadfile(TESTS .. "fake.lua")()
local messages = loadfile(SCRIPTS .. "serveflow/msgpack.lua")()

local function unhex(text)
  return (text:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

local function hex(bytes)
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

-- nil, numbers, "x" and bytes in hex, or text.
local function argument(word)
  if word == "nil" then
    return nil
  elseif word:find("^x%x*$") then
    return unhex(word:sub(2))
  end
  return tonumber(word) or word
end

-- Lua 5.4 gives floats for what LuaJIT has one kind of number for, as Suricata 8
-- does with times.
local function as_float(value)
  return type(value) == "number" and value + 0.0 or value
end

local unpack_table = table.unpack or unpack

local function vectors()
  local all = {}
  for line in io.lines(TESTS .. "vectors") do
    if not line:find("^#") then
      local words = {}
      for word in line:gmatch("%S+") do
        words[#words + 1] = word
      end
      local arguments, n = {}, 0
      for i = 3, #words do
        n = n + 1
        arguments[n] = argument(words[i])
      end
      all[#all + 1] = { name = words[1], bytes = words[2], arguments = arguments, n = n }
    end
  end
  return all
end

local tests = {}

function tests.packs_as_the_codec_does()
  local seen = {}
  for _, v in ipairs(vectors()) do
    if v.name ~= "unpack" then
      seen[v.name] = true
      local floats = {}
      for i = 1, v.n do
        floats[i] = as_float(v.arguments[i])
      end
      for _, arguments in ipairs { v.arguments, floats } do
        local got
        if v.name == "hello" then
          local version, sensor, mode, events, pid, run = unpack_table(arguments, 1, v.n)
          got = messages.hello { version = tostring(v.arguments[1] or version), sensor = sensor,
            capture = mode == "capture", meta = events == "meta", pid = pid, run = run }
        else
          got = messages[v.name](unpack_table(arguments, 1, v.n))
        end
        assert(hex(got) == v.bytes, v.name .. "\n got " .. hex(got) .. "\nwant " .. v.bytes)
      end
    end
  end
  for _, name in ipairs { "hello", "packet", "meta", "sync", "stats" } do
    assert(seen[name], "no vector of " .. name)
  end
end

function tests.reads_what_the_sidecar_says()
  local welcome = messages.unpack(fake.welcome, 1)
  assert(welcome[1] == 17 and welcome[2] == 1)
  local need = welcome[3]
  assert(need.packets == 3 and need.raw_bytes == 120 and need.payload_bytes == 0)
  local synced, after = messages.unpack("\146\18\42" .. "\147", 1)
  assert(synced[1] == 18 and synced[2] == 42 and after == 4)
end

-- Every prefix of a message is "not yet", never an error, whatever is in it.
function tests.waits_for_the_rest_of_a_message()
  local count = 0
  for _, v in ipairs(vectors()) do
    local bytes = unhex(v.bytes)
    for n = 0, #bytes - 1 do
      local _, after = messages.unpack(bytes:sub(1, n), 1)
      assert(after == nil, v.name .. ": " .. n .. " bytes were enough")
    end
    local value, after = messages.unpack(bytes, 1)
    assert(type(value) == "table" and after == #bytes + 1, v.name)
    count = count + 1
  end
  assert(count > 5)
end

function tests.cuts_long_text()
  local packed = messages.hello { version = "8", sensor = ("s"):rep(300), capture = false }
  local hello = messages.unpack(packed, 1)
  assert(hello[3].sensor == ("s"):rep(256) and hello[3].mode == "live" and hello[3].pid == nil)
end

return tests
