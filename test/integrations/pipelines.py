"""Runs what maps the label log to the Elastic Common Schema, with the languages'
own compilers and processors, on the lines of a real sidecar."""

import datetime
import json
import tempfile
import unittest

import pyvrl
import yaml
from sidecar import FILES, ROOT, Labelled, program, run


def ecs(line):
    """The document that both mappings have to make of a line, without times."""
    moved = ("ts", "proto", "community_id", "src", "sport", "dst", "dport", "sensor")
    return {
        "event": {"kind": "event", "category": ["network"], "type": ["connection"], "dataset": "serveflow.labels"},
        "network": {"application": line["label"], "transport": line["proto"], "community_id": line["community_id"]},
        "source": {"ip": line["src"], "port": line["sport"]},
        "destination": {"ip": line["dst"], "port": line["dport"]},
        "observer": {"name": line["sensor"], "type": "ids"},
        "serveflow": {k: v for k, v in line.items() if k not in moved} | {"flow": str(line["flow"])},
    }


class Pipelines(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as directory:
            cls.lines = Labelled(directory).labels
        cls.lines.append(cls.lines[0] | {"agrees": True, "flow": "CAbc123", "ts": 1795438284})

    def near(self, at, line):
        self.assertAlmostEqual(at.timestamp(), line["ts"], delta=0.0011)

    def test_vector(self):
        """Vector's language compiles the transform, and makes the document of each line."""
        source = yaml.safe_load((FILES / "vector/vector.yaml").read_text())["transforms"]["ecs"]["source"]
        transform = pyvrl.Transform(source)
        for line in self.lines:
            document = transform.remap({"message": json.dumps(line)})
            self.near(document.pop("@timestamp"), line)
            self.assertEqual(document, ecs(line))
        with self.assertRaises(ValueError):
            transform.remap({"message": "no JSON"})

    def test_ingest(self):
        """OpenSearch's processors make the document of each line, and keep what is none."""
        libraries = ROOT / "build/ingest/libs"
        if not libraries.exists():
            self.skipTest("no libraries of OpenSearch: make test-ingest")
        text = "".join(json.dumps(line) + "\n" for line in self.lines) + "no JSON\n"
        command = (program("java"), "-cp", f"{libraries}/*", ROOT / "test/integrations/ingest/Ingest.java")
        out = run(*command, FILES / "elastic/ingest-pipeline.json", input=text)
        self.assertEqual(out.returncode, 0, out.stderr)
        *documents, broken = [json.loads(line) for line in out.stdout.splitlines()]
        self.assertEqual(len(documents), len(self.lines))
        for line, document in zip(self.lines, documents, strict=True):
            document = {k: v for k, v in document.items() if not k.startswith("_")}
            self.assertEqual(document["@timestamp"], document["event"].pop("start"))
            self.near(datetime.datetime.fromisoformat(document.pop("@timestamp")), line)
            self.assertEqual(document.pop("related"), {"ip": list(dict.fromkeys((line["src"], line["dst"])))})
            self.assertEqual(document, ecs(line))
        self.assertEqual((broken["message"], broken["event"]["kind"]), ("no JSON", "pipeline_error"))
