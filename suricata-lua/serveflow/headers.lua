-- Where in a packet the headers are. Suricata gives a packet from layer 2 on, or
-- from its IP header where it was inside a tunnel, and does not say which.

local byte, min, sub = string.byte, math.min, string.sub

-- The link types of PACKET: the sidecar has to look, or raw begins with the IP
-- header.
local LOOK, IP = 0, 101

-- A big-endian number of two bytes at i, or nil.
local function short(s, i)
  local high, low = byte(s, i, i + 1)
  return low and high * 256 + low
end

local ETHERNET = { [0x0800] = 4, [0x86dd] = 6 }
local VLAN = { [0x8100] = true, [0x88a8] = true, [0x9100] = true }

-- begins reports whether an IP header of that version could begin after so many
-- bytes, and fits whether the whole packet could follow.
local function begins(raw, skip, version)
  local first = byte(raw, skip + 1)
  return first and (first - first % 16) / 16 == version
end

local function fits(raw, skip, version)
  if not begins(raw, skip, version) then
    return false
  end
  local length = short(raw, skip + (version == 4 and 3 or 5))
  -- 0 where the sender leaves segmentation to its network card.
  return length and (length == 0 or length + (version == 4 and 0 or 40) <= #raw - skip)
end

-- The number of bytes before the IP header and its version, or nil.
local function network(raw)
  -- Nearly always: IPv4 in Ethernet, in one look.
  local type_high, type_low, first, _, high, low = byte(raw, 13, 18)
  if type_high == 8 and type_low == 0 and low and first >= 0x40 and first < 0x50 then
    local length = high * 256 + low
    if length > 0 and length <= #raw - 14 then
      return 14, 4
    end
  end
  local at = 13
  local kind = short(raw, at)
  while VLAN[kind] do
    at = at + 4
    kind = short(raw, at)
  end
  local version = ETHERNET[kind]
  if version and fits(raw, at + 1, version) then
    return at + 1, version
  elseif fits(raw, 0, 4) then
    return 0, 4
  elseif fits(raw, 0, 6) then
    return 0, 6
  elseif version and begins(raw, at + 1, version) then
    return at + 1, version -- cut short
  end
  return nil, nil
end

-- Bytes of a transport header by protocol; TCP's says itself.
local TRANSPORT = { [17] = 8, [1] = 8, [58] = 8, [132] = 12 }

-- error_message says whether an ICMP message tells of an error. Suricata counts
-- those as packets of the flow that they tell about, which they are not.
local ICMP_ERRORS = {
  [1] = { [3] = true, [4] = true, [5] = true, [11] = true, [12] = true },
  [58] = { [1] = true, [2] = true, [3] = true, [4] = true },
}

local function error_message(proto, icmp_type)
  local errors = ICMP_ERRORS[proto]
  return errors and errors[icmp_type] or false
end

-- The number of bytes of the IP header, its extensions and the transport header
-- of a packet whose IP header begins after so many bytes; nil for an ICMP error.
local function header_bytes(raw, skip, version)
  local size, proto, fragment
  if version == 4 then
    local first, _, _, _, _, _, high, low, _, kind = byte(raw, skip + 1, skip + 10)
    size, proto, fragment = first % 16 * 4, kind, low and (high % 32 > 0 or low > 0)
  else
    size, proto = 40, byte(raw, skip + 7)
    -- Hop-by-hop, routing, destination, fragment and authentication headers.
    while proto == 0 or proto == 43 or proto == 60 or proto == 44 or proto == 51 do
      local next_proto, length = byte(raw, skip + size + 1, skip + size + 2)
      if not length then
        return size
      end
      if proto == 44 then
        fragment = (short(raw, skip + size + 3) or 0) > 7
        length = 8
      elseif proto == 51 then
        length = (length + 2) * 4
      else
        length = (length + 1) * 8
      end
      size, proto = size + length, next_proto
      if fragment then
        break
      end
    end
  end
  if fragment then
    return size
  elseif error_message(proto, byte(raw, skip + size + 1)) then
    return nil
  elseif proto == 6 then
    local offset = byte(raw, skip + size + 13) or 0x50
    return size + (offset - offset % 16) / 4
  end
  return size + (TRANSPORT[proto] or 0)
end

-- wanted returns what PACKET says of a packet: the first bytes, no more of them
-- than asked for, the length on the wire and the link type; nil for a packet that
-- is not to be sent. payload(packet) is asked for what the transport carries where
-- the link layer is a strange one.
local function wanted(raw, raw_bytes, payload_bytes, payload, packet)
  local skip, version = network(raw)
  if not skip then
    local headers = #raw - #(payload(packet) or "")
    return sub(raw, 1, min(raw_bytes, headers + payload_bytes)), #raw, LOOK
  end
  local headers = header_bytes(raw, skip, version)
  if not headers then
    return nil
  end
  return sub(raw, skip + 1, skip + min(raw_bytes, headers + payload_bytes)), #raw - skip, IP
end

return { wanted = wanted, error_message = error_message }
