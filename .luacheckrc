-- luacheck reads this for the scripts in suricata-lua.
std = "luajit+lua54"
max_line_length = 120
files["suricata-lua"] = {
  -- Suricata 7's functions.
  read_globals = {
    "SCFlowId", "SCFlowStats", "SCFlowTimestamps", "SCLogNotice", "SCPacketPayload", "SCPacketTimestamp",
    "SCPacketTuple", "SCThreadInfo",
  },
}
-- What Suricata calls.
files["suricata-lua/serveflow.lua"] = { globals = { "init", "setup", "log", "deinit" } }
files["suricata-lua/serveflow-rule.lua"] = { globals = { "init", "match" } }
