-- The messages of the protocol (docs/protocol.md) in msgpack. LuaJIT knows no
-- string.pack and Lua 5.4 no bit library, so numbers are taken apart with % and
-- /, which both have. What is packed for every packet has a way of its own in Lua
-- 5.4, whose string.pack is several times as fast; LuaJIT compiles the arithmetic.

local byte, char, sub, pack = string.byte, string.char, string.sub, string.pack

-- The 8 bytes of a number below 2^53, most significant first.
local function bytes8(n)
  local low = n % 4294967296
  local high = (n - low) / 4294967296
  local h = low % 256
  low = (low - h) / 256
  local g = low % 256
  low = (low - g) / 256
  local f = low % 256
  local e = (low - f) / 256
  local d = high % 256
  high = (high - d) / 256
  local c = high % 256
  high = (high - c) / 256
  local b = high % 256
  return (high - b) / 256, b, c, d, e, f, g, h
end

local function pack_uint(n)
  if n < 128 then
    return char(n)
  elseif n < 256 then
    return char(0xcc, n)
  elseif n < 65536 then
    return char(0xcd, (n - n % 256) / 256, n % 256)
  end
  local a, b, c, d, e, f, g, h = bytes8(n)
  if n < 4294967296 then
    return char(0xce, e, f, g, h)
  end
  return char(0xcf, a, b, c, d, e, f, g, h)
end

-- pack_uint of numbers of at most two bytes, made once each: counters, lengths
-- and ports repeat.
local uint = setmetatable({}, {
  __index = function(known, n)
    local packed = pack_uint(n)
    if n < 65536 then
      known[n] = packed
    end
    return packed
  end,
})

-- Text of up to 256 bytes; what is longer is cut.
local function pack_text(s)
  s = sub(s, 1, 256)
  if #s < 32 then
    return char(0xa0 + #s) .. s
  elseif #s < 256 then
    return char(0xd9, #s) .. s
  end
  return char(0xda, 1, 0) .. s
end

local function pack_bytes(s)
  if #s < 256 then
    return char(0xc4, #s) .. s
  end
  return char(0xc5, (#s - #s % 256) / 256, #s % 256) .. s
end

local NIL = "\192"

local messages = {}

function messages.hello(h)
  return "\147\0\1" .. char(0x80 + 6 + (h.pid and 1 or 0) + (h.run and 1 or 0))
    .. (h.run and pack_text("run") .. pack_text(h.run) or "")
    .. pack_text("engine") .. pack_text("suricata")
    .. pack_text("engine_version") .. pack_text(h.version)
    .. pack_text("sensor") .. pack_text(h.sensor)
    .. (h.pid and pack_text("pid") .. uint[h.pid] or "")
    .. pack_text("mode") .. pack_text(h.capture and "capture" or "live")
    .. pack_text("events") .. pack_text(h.meta and "meta" or "packet")
    .. pack_text("reply") .. "\194"
end

-- The beginning of PACKET and META: up to the flow's counters. The direction is
-- "not known": telling it would cost two calls more into Suricata, and the
-- sidecar sees it in the addresses.
local function pack_event(elements, kind, flow, ts, orig_pkts, resp_pkts)
  local a, b, c, d, e, f, g, h = bytes8(flow)
  local i, j, k, l, m, n, o, p = bytes8(ts)
  return char(0x90 + elements, kind, 0xcf, a, b, c, d, e, f, g, h, 0xcf, i, j, k, l, m, n, o, p, 2)
    .. uint[orig_pkts] .. uint[resp_pkts]
end

function messages.packet(flow, ts, orig_pkts, resp_pkts, wire_len, link, raw)
  return pack_event(9, 1, flow, ts, orig_pkts, resp_pkts) .. uint[wire_len] .. uint[link] .. pack_bytes(raw)
end

-- PACKET as nearly all are, in one call: counters below 128, less than 256 bytes.
local general = messages.packet
local SMALL, MIDDLE, LARGE = ">BBBI8BI8BBBBBBs1", ">BBBI8BI8BBBBBBBs1", ">BBBI8BI8BBBBI2BBs1"

if pack then
  function messages.packet(flow, ts, orig_pkts, resp_pkts, wire_len, link, raw)
    if orig_pkts > 127 or resp_pkts > 127 or #raw > 255 or wire_len > 65535 then
      return general(flow, ts, orig_pkts, resp_pkts, wire_len, link, raw)
    elseif wire_len > 255 then
      return pack(LARGE, 0x99, 1, 0xcf, flow, 0xcf, ts, 2, orig_pkts, resp_pkts, 0xcd, wire_len, link, 0xc4, raw)
    elseif wire_len > 127 then
      return pack(MIDDLE, 0x99, 1, 0xcf, flow, 0xcf, ts, 2, orig_pkts, resp_pkts, 0xcc, wire_len, link, 0xc4, raw)
    end
    return pack(SMALL, 0x99, 1, 0xcf, flow, 0xcf, ts, 2, orig_pkts, resp_pkts, wire_len, link, 0xc4, raw)
  end
end

-- Ports of 0 and a protocol of 0 stand for "not known"; payload_len and payload
-- may be nil.
function messages.meta(flow, ts, orig_pkts, resp_pkts, orig_bytes, resp_bytes,
                         proto, src, sport, dst, dport, payload_len, payload)
  return pack_event(15, 2, flow, ts, orig_pkts, resp_pkts)
    .. uint[orig_bytes] .. uint[resp_bytes] .. uint[proto]
    .. pack_text(src) .. uint[sport] .. pack_text(dst) .. uint[dport]
    .. (payload_len and uint[payload_len] or NIL) .. (payload and pack_bytes(payload) or NIL)
end

function messages.sync(token)
  return "\147\4" .. uint[token] .. "\195"
end

function messages.stats(ts, sent, dropped)
  return "\148\5" .. uint[ts] .. uint[sent] .. uint[dropped]
end

-- A big-endian number of n bytes at i, or nil if s ends before.
local function number_at(s, i, n)
  if #s < i + n - 1 then
    return nil
  end
  local value = 0
  for at = i, i + n - 1 do
    value = value * 256 + byte(s, at)
  end
  return value
end

-- The size and type of the length or value after a first byte.
local LONG = {
  [0xc4] = { "bytes", 1 }, [0xc5] = { "bytes", 2 }, [0xc6] = { "bytes", 4 },
  [0xc7] = { "ext", 1 }, [0xc8] = { "ext", 2 }, [0xc9] = { "ext", 4 },
  [0xca] = { "skip", 4 }, [0xcb] = { "skip", 8 },
  [0xcc] = { "uint", 1 }, [0xcd] = { "uint", 2 }, [0xce] = { "uint", 4 }, [0xcf] = { "uint", 8 },
  [0xd0] = { "skip", 1 }, [0xd1] = { "skip", 2 }, [0xd2] = { "skip", 4 }, [0xd3] = { "skip", 8 },
  [0xd4] = { "skip", 2 }, [0xd5] = { "skip", 3 }, [0xd6] = { "skip", 5 },
  [0xd7] = { "skip", 9 }, [0xd8] = { "skip", 17 },
  [0xd9] = { "bytes", 1 }, [0xda] = { "bytes", 2 }, [0xdb] = { "bytes", 4 },
  [0xdc] = { "array", 2 }, [0xdd] = { "array", 4 }, [0xde] = { "map", 2 }, [0xdf] = { "map", 4 },
}

-- unpack_value(s, i) is the value at i, and where the next one begins: nil if s
-- ends before. Formats that no message to a tap uses (floats, negative numbers,
-- extensions) are read past; their value is false.
local unpack_value

local function unpack_values(s, i, n, keyed)
  local values, key = {}, nil
  for k = 1, keyed and 2 * n or n do
    local value, after = unpack_value(s, i)
    if not after then
      return nil, nil
    end
    i = after
    if not keyed then
      values[k] = value
    elseif k % 2 == 1 then
      key = value
    else
      values[key] = value
    end
  end
  return values, i
end

function unpack_value(s, i)
  local first = byte(s, i)
  if not first then
    return nil, nil
  elseif first < 0x80 then
    return first, i + 1
  elseif first < 0x90 then
    return unpack_values(s, i + 1, first - 0x80, true)
  elseif first < 0xa0 then
    return unpack_values(s, i + 1, first - 0x90)
  end
  local kind, size, n
  if first < 0xc0 then
    kind, size, n = "bytes", 0, first - 0xa0
  elseif not LONG[first] then
    return first == 0xc3, i + 1 -- true, false, nil, negative fixint
  else
    kind, size = LONG[first][1], LONG[first][2]
    n = number_at(s, i + 1, size)
    if not n then
      return nil, nil
    end
  end
  local from = i + 1 + size
  if kind == "uint" then
    return n, from
  elseif kind == "skip" then
    return false, from
  elseif kind == "array" or kind == "map" then
    return unpack_values(s, from, n, kind == "map")
  end
  if kind == "ext" then
    n = n + 1 -- its type
  end
  if #s < from + n - 1 then
    return nil, nil
  end
  return kind == "bytes" and sub(s, from, from + n - 1), from + n
end

messages.unpack = unpack_value

return messages
