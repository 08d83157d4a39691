-- Tests of the scripts outside Suricata, under LuaJIT and Lua 5.4:
--
--     luajit suricata-lua/test/run.lua
--
-- Each test_*.lua beside this file returns a table of functions by name; a test
-- fails by an error.

local here = arg[0]:match("^(.*/)") or "./"

-- Where the scripts are, for the tests.
SCRIPTS = here .. "../"
TESTS = here

local failed, passed = 0, 0
for _, name in ipairs { "messages", "headers", "link", "tap", "suricata" } do
  local tests = assert(loadfile(here .. "test_" .. name .. ".lua"))()
  local names = {}
  for test in pairs(tests) do
    names[#names + 1] = test
  end
  table.sort(names)
  for _, test in ipairs(names) do
    local ok, why = xpcall(tests[test], debug.traceback)
    if ok then
      passed = passed + 1
    else
      failed = failed + 1
      io.stderr:write("FAIL ", name, ": ", test, "\n", why, "\n")
    end
  end
end
print(("%s: %d tests passed, %d failed"):format(jit and jit.version or _VERSION, passed, failed))
os.exit(failed == 0 and 0 or 1)
