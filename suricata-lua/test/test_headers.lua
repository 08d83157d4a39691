-- What is sent of a packet: the headers that are asked for and no payload.

local headers = loadfile(SCRIPTS .. "serveflow/headers.lua")()

local function unhex(text)
  return (text:gsub("%s", ""):gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

local MACS = "0202020202020202020202020202"
local ETHERNET = MACS:sub(1, 24)
local PAYLOAD = "70617961" -- "paya"
local IP4 = "4500 002c 0000 4000 40%s 0000 c0000201 c6336407"
local TCP = "c350 01bb 00000001 00000000 5002 faf0 0000 0000"
local UDP = "c350 0035 0000 0000"
local IP6 = "6000 0000 %s %s 40 20010db8000000000000000000000001 20010db8000000000000000000000002"

local tcp4 = IP4:format("06") .. TCP
local udp4 = IP4:gsub("002c", "0020"):format("11") .. UDP
local options4 = tcp4:gsub("^4500 002c", "4600 0030"):gsub("c6336407", "c633640794040000")
local offload4 = tcp4:gsub("002c", "0000")

-- frame, payload bytes asked for, kept, wire length and link wanted
local cases = {
  { "TCP in Ethernet", ETHERNET .. "0800" .. tcp4 .. PAYLOAD, 0, tcp4, 44, 101 },
  { "two bytes of payload", ETHERNET .. "0800" .. tcp4 .. PAYLOAD, 2, tcp4 .. "7061", 44, 101 },
  { "padding of a short frame", ETHERNET .. "0800" .. udp4 .. PAYLOAD .. ("00"):rep(14), 0, udp4, 46, 101 },
  { "VLAN", ETHERNET .. "8100 002a 0800" .. tcp4 .. PAYLOAD, 0, tcp4, 44, 101 },
  { "two VLAN tags", ETHERNET .. "88a8 0001 8100 002a 0800" .. tcp4 .. PAYLOAD, 0, tcp4, 44, 101 },
  { "inside a tunnel", tcp4 .. PAYLOAD, 0, tcp4, 44, 101 },
  { "TCP options", ETHERNET .. "0800" .. tcp4:gsub("5002", "6002") .. "020405b4", 0,
    tcp4:gsub("5002", "6002") .. "020405b4", 44, 101 },
  { "IPv4 options", ETHERNET .. "0800" .. options4 .. PAYLOAD, 0, options4, 48, 101 },
  { "segmentation offload", ETHERNET .. "0800" .. offload4 .. PAYLOAD, 0, offload4, 44, 101 },
  { "a fragment", ETHERNET .. "0800" .. IP4:gsub("4000", "0010"):format("11") .. ("70"):rep(24), 0,
    IP4:gsub("4000", "0010"):format("11"), 44, 101 },
  { "UDP over IPv6", ETHERNET .. "86dd" .. IP6:format("000c", "11") .. UDP .. PAYLOAD, 0,
    IP6:format("000c", "11") .. UDP, 52, 101 },
  { "IPv6 hop-by-hop", ETHERNET .. "86dd" .. IP6:format("0014", "00") .. "1100 010400000000" .. UDP .. PAYLOAD, 0,
    IP6:format("0014", "00") .. "1100 010400000000" .. UDP, 60, 101 },
  { "IPv6 inside a tunnel", IP6:format("000c", "11") .. UDP .. PAYLOAD, 0, IP6:format("000c", "11") .. UDP, 52, 101 },
  { "a protocol without ports", ETHERNET .. "0800" .. IP4:gsub("002c", "0018"):format("2f") .. PAYLOAD, 0,
    IP4:gsub("002c", "0018"):format("2f"), 24, 101 },
  { "another link layer", "0000 0001 0006 0202020202020000 0800" .. tcp4 .. PAYLOAD, 0,
    "0000 0001 0006 0202020202020000 0800" .. tcp4, 60, 0 },
}

local tests = {}

for _, case in ipairs(cases) do
  local name, frame, payload_bytes, want, wire_len, link = (table.unpack or unpack)(case)
  tests[name] = function()
    local raw, length, found = headers.wanted(unhex(frame), 2048, payload_bytes, function() return unhex(PAYLOAD) end)
    assert(raw == unhex(want), ("%d bytes kept, want %d"):format(#raw, #unhex(want)))
    assert(length == wire_len and found == link, length .. " bytes, link " .. found)
  end
end

function tests.no_more_than_asked_for()
  assert(#headers.wanted(unhex(ETHERNET .. "0800" .. tcp4), 28, 0) == 28)
end

-- A cut anywhere is no error and gives nothing beyond the cut.
function tests.cut_packets()
  for _, case in ipairs(cases) do
    local frame = unhex(case[2])
    for n = 0, #frame do
      local raw, length = headers.wanted(frame:sub(1, n), 2048, 0, function() return nil end)
      assert(#raw <= n and length <= n, case[1])
    end
  end
end

function tests.icmp_errors_are_no_packets_of_their_flow()
  local unreachable = ETHERNET .. "0800" .. IP4:format("01") .. "0303 0000 00000000" .. ("00"):rep(16)
  assert(headers.wanted(unhex(unreachable), 2048, 0) == nil)
  local echo = unreachable:gsub("0303 0000", "0800 0000")
  assert(#headers.wanted(unhex(echo), 2048, 0) == 28)
  assert(headers.error_message(58, 1) and not headers.error_message(58, 128) and not headers.error_message(6, 3))
end

return tests
