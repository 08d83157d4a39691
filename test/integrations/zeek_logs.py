"""Holds the schemas of Zeek's logs against the package's scripts, against the package
logschema of Zeek's makers, and against rows of a real Zeek."""

import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

import jsonschema
from sidecar import FILES, ROOT, Sidecar, program, run

SCHEMAS = FILES / "schema"
TYPES = {"string": "string", "double": "number", "interval": "number", "time": "number", "count": "integer", "bool": "boolean"}


def logged(script, record):
    """The logged fields of a record in a script: name to type, optional, description."""
    text = (ROOT / "zeek-scripts" / script).read_text()
    body = re.search(rf"{re.escape(record)}[^{{]*\{{(.*?)\n\t\}};", text, re.S)[1]
    fields = {}
    for comment, name, kind, attributes in re.findall(r"((?:\t\t##[^\n]*\n)*)\t\t(\w+): (\w+)([^;]*);", body):
        if "&log" in attributes:
            description = "\n".join(line.strip().removeprefix("##").strip() for line in comment.splitlines())
            fields[name] = (kind, "&optional" in attributes, description)
    return fields


class ZeekLogs(unittest.TestCase):
    maxDiff = None

    def schema(self, log):
        return json.loads((SCHEMAS / f"zeek-{log}-log.schema.json").read_text())

    def zeek(self, directory, *arguments):
        """Runs Zeek with the plugin that "make zeek-plugin" has made."""
        version = run(program("zeek-config"), "--version").stdout.strip()
        archives = sorted((ROOT / "build/packages").glob(f"serveflow-zeek_*_zeek-{version}_*.tar.gz"))
        if not archives:
            self.skipTest(f"no plugin for Zeek {version}: make zeek-plugin")
        plugins = pathlib.Path(directory, "plugins")
        plugins.mkdir()
        subprocess.run(["tar", "-C", plugins, "-xzf", archives[-1]], check=True)
        environment = os.environ | {"ZEEK_PLUGIN_PATH": str(plugins)}
        return run(program("zeek"), *arguments, cwd=directory, env=environment)

    def test_scripts(self):
        """The schemas say of our fields what the scripts do."""
        for log, script, record in (
            ("serveflow", "scripts/types.zeek", "type Info: record"),
            ("conn", "serveflow/conn-log.zeek", "redef record Conn::Info +="),
        ):
            schema = self.schema(log)
            jsonschema.Draft202012Validator.check_schema(schema)
            fields = logged(script, record)
            self.assertGreaterEqual(len(fields), 8)
            properties = dict(schema["properties"])
            if log == "serveflow":
                kind, optional, _ = fields.pop("id")
                self.assertEqual((kind, optional), ("conn_id", False))
                for name in ("id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p"):
                    self.assertIn(name, schema["required"])
                    del properties[name]
            self.assertEqual(list(properties), list(fields))
            for name, (kind, optional, description) in fields.items():
                self.assertEqual(properties[name]["type"], TYPES[kind], name)
                self.assertEqual(properties[name]["x-zeek"]["type"], kind, name)
                self.assertEqual(properties[name].get("description", ""), description, name)
                self.assertEqual(name in schema.get("required", []), not optional, name)

    def test_logschema(self):
        """The schemas are what logschema makes of the plugin; with UPDATE set they become it."""
        with tempfile.TemporaryDirectory() as directory:
            out = self.zeek(directory, "serveflow", "logschema/export/jsonschema", "ServeFlow::socket=/nonexistent")
            if "can't find logschema" in out.stderr:
                self.skipTest("Zeek's package logschema is not installed")
            self.assertEqual(out.returncode, 0, out.stderr)
            for log in ("serveflow", "conn"):
                made = json.loads(pathlib.Path(directory, f"zeek-{log}-log.schema.json").read_text())
                if log == "conn":
                    # The other columns are Zeek's own, and a site's.
                    made["description"] = "The columns that ServeFlow adds to Zeek's conn.log"
                    ours = {k: v for k, v in made["properties"].items() if v["x-zeek"]["script"].startswith("ServeFlow_Tap/")}
                    made["properties"] = ours
                    made.pop("required")
                if os.environ.get("UPDATE"):
                    text = json.dumps(made, indent=2, ensure_ascii=False) + "\n"
                    (SCHEMAS / f"zeek-{log}-log.schema.json").write_text(text)
                self.assertEqual(self.schema(log), made)

    def test_rows(self):
        """Rows of a real Zeek are as the schemas say, every property is in some row."""
        with tempfile.TemporaryDirectory() as directory:
            sidecar = Sidecar(directory)
            try:
                captures = [ROOT / "test/captures" / name for name in ("dns.pcap", "http.pcap", "tls.pcap")]
                rows = {"conn": [], "serveflow": []}
                for capture in captures:
                    with tempfile.TemporaryDirectory() as logs:
                        out = self.zeek(
                            logs, "-C", "-r", capture, "serveflow", f"ServeFlow::socket={sidecar.socket}", "LogAscii::use_json=T"
                        )
                        self.assertEqual(out.returncode, 0, out.stderr)
                        for log, found in rows.items():
                            text = pathlib.Path(logs, f"{log}.log").read_text()
                            found.extend(json.loads(line) for line in text.splitlines())
            finally:
                sidecar.stop()
        for log, found in rows.items():
            schema = self.schema(log)
            validator = jsonschema.Draft202012Validator(schema)
            self.assertGreater(len(found), 5)
            for row in found:
                validator.validate(row)
            self.assertEqual(set(schema["properties"]) - set().union(*found), set(), f"no row of {log}.log has these")
            for name, rules in schema["properties"].items():
                wrong = {"string": 1, "number": "1", "integer": "1", "boolean": "T"}[rules["type"]]
                self.assertFalse(validator.is_valid(found[0] | {name: wrong}), name)
