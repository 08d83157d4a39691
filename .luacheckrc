-- luacheck reads this for the scripts in suricata-lua.
std = "luajit+lua54"
max_line_length = 120

-- Suricata 7's functions, and what Suricata calls.
local functions = {
  "SCFlowId", "SCFlowStats", "SCFlowTimestamps", "SCLogNotice", "SCPacketPayload", "SCPacketTimestamp",
  "SCPacketTuple", "SCThreadInfo",
}
local callbacks = { "init", "setup", "log", "deinit", "match" }
files["suricata-lua/serveflow.lua"] = { read_globals = functions, globals = callbacks }
files["suricata-lua/serveflow-rule.lua"] = { read_globals = functions, globals = callbacks }

-- The tests, which stand in for Suricata.
files["suricata-lua/test"] = { globals = { "SCRIPTS", "TESTS" } }
stds.stub = { globals = functions }
files["suricata-lua/test/test_suricata.lua"] = { globals = callbacks, std = "luajit+lua54+stub" }
