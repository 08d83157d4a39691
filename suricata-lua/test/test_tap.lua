-- serveflow/tap.lua: what a tap says of itself.

local tap = dofile(SCRIPTS .. "serveflow/tap.lua")

local tests = {}

function tests.tells_captures_from_live_traffic()
  local function reads(...)
    local path = os.tmpname()
    local file = assert(io.open(path, "wb"))
    file:write(table.concat({ "suricata", ... }, "\0"), "\0")
    file:close()
    local answer = tap.reads_capture(path)
    os.remove(path)
    return answer
  end
  assert(reads("-r", "office.pcap"))
  assert(reads("-roffice.pcap"))
  assert(reads("-vvr", "office.pcap", "-l", "."))
  assert(reads("--pcap-file=office.pcap"))
  assert(reads("--unix-socket"))
  assert(reads("-D", "--unix-socket=/run/suricata.sock", "-l", "."))
  assert(not reads("-i", "eth0", "-v"))
  assert(not reads("-ieth-r"))
  assert(not reads("--runmode", "single", "-D"))
  assert(not tap.reads_capture("/nonexistent/cmdline"))
end

return tests
