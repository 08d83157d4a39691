"""Holds what other programs are to read against those programs, or against their own
schemas, and against what a sidecar really writes.

    check.py SERVEFLOW

runs the program on captures of the repository. A check whose program is not installed
is skipped and says so."""

import json
import pathlib
import re
import tempfile
import unittest

import jsonschema
import yaml
from operate import Compose, Grafana, Prometheus
from pipelines import Pipelines
from sidecar import FILES, ROOT, SERVEFLOW, Labelled, program, run
from zeek_logs import ZeekLogs

__all__ = ["Check", "Compose", "Grafana", "Pipelines", "Prometheus", "ZeekLogs"]


class Check(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.sidecar = Labelled(cls.directory.name)

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    def validator(self, name):
        schema = json.loads((FILES / "schema" / name).read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)

    def test_labels_schema(self):
        """Every line of a real label log is as the schema says, and what is not is refused."""
        validator = self.validator("labels.schema.json")
        self.assertGreater(len(self.sidecar.labels), 10)
        for line in self.sidecar.labels:
            validator.validate(line)
        seen = set().union(*(line.keys() for line in self.sidecar.labels))
        listed = set(validator.schema["properties"])
        # "agrees" is in the lines of flows that a record of EVE has ended.
        self.assertLessEqual(listed - seen, {"agrees"}, "no line has these")
        good = self.sidecar.labels[0]
        for change in ({"score": 1.5}, {"src": "nowhere"}, {"other": 1}, {"community_id": "1:x"}, {"flow": None}):
            self.assertFalse(validator.is_valid(good | change), change)
        for key in validator.schema["required"]:
            self.assertFalse(validator.is_valid({k: v for k, v in good.items() if k != key}), key)

    def test_eve_schema(self):
        validator = self.validator("eve.schema.json")
        labelled = [r for r in self.sidecar.eve if "serveflow" in r]
        self.assertGreater(len(labelled), 0)
        for record in labelled:
            validator.validate(record)
        for record in labelled:
            ours = record["serveflow"]
            self.assertFalse(validator.is_valid(record | {"serveflow": ours | {"other": 1}}))
            self.assertFalse(validator.is_valid(record | {"serveflow": {"label": "web"}}))
            other = "dns" if record["event_type"] == "flow" else "flow"
            self.assertFalse(validator.is_valid(record | {"event_type": other}), record)

    def test_shippers(self):
        """Those that are not here read the log where it is, by files that are YAML."""
        for file in ("elastic/filebeat.yml", "fluent-bit/fluent-bit.yaml"):
            self.assertIn("/var/log/serveflow/labels.jsonl", json.dumps(yaml.safe_load((FILES / file).read_text())))

    def test_ocsf(self):
        """The events of jq are valid by OCSF's own schema."""
        from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

        embedded = OcsfJsonSchemaEmbedded(get_ocsf_schema(version="1.5.0"))
        validators = {
            uid: jsonschema.Draft202012Validator(embedded.get_class_schema(name))
            for uid, name in ((4001, "network_activity"), (2004, "detection_finding"))
        }
        text = "".join(json.dumps(line) + "\n" for line in self.sidecar.labels)
        alarms = ["openvpn", "dns-tunnel", "icmp-tunnel"]
        attack = run(SERVEFLOW, "bundle", "inspect", "--attack", "channel").stdout
        arguments = ("--argjson", "alarms", json.dumps(alarms), "--argjson", "attack", attack)
        out = run(program("jq"), "-c", "-f", FILES / "ocsf/labels.jq", *arguments, input=text)
        self.assertEqual(out.stderr, "")
        events = [json.loads(line) for line in out.stdout.splitlines()]
        count = {uid: sum(e["class_uid"] == uid for e in events) for uid in validators}
        self.assertEqual(count[4001], len(self.sidecar.labels))
        self.assertEqual(count[2004], sum(line["label"] in alarms for line in self.sidecar.labels))
        self.assertGreater(count[2004], 0)
        techniques = json.loads(attack)
        for e in events:
            if e["class_uid"] == 2004:
                said = [a.get("sub_technique", a["technique"])["uid"] for a in e["finding_info"]["attacks"]]
                self.assertEqual(said, techniques[e["unmapped"]["serveflow"]["label"]])
        for event in events:
            errors = [e.message for e in validators[event["class_uid"]].iter_errors(event)]
            self.assertEqual(errors, [], json.dumps(event))
        broken = events[0] | {"class_uid": "x"}
        self.assertFalse(validators[4001].is_valid(broken))

    def test_sigma(self):
        """sigma-cli finds nothing wrong, and the fields and labels are some that there are."""
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as config:
            # Those two fetch lists from the network.
            config.write("validators:\n  - all\n  - -attacktag\n  - -d3_fendtag\n")
            config.flush()
            out = run(
                program("sigma"),
                "check",
                "--fail-on-error",
                "--fail-on-issues",
                "--validation-config",
                config.name,
                FILES / "sigma",
            )
        self.assertEqual(out.returncode, 0, out.stdout + out.stderr)
        manifest = (ROOT / "models/channel/manifest.toml").read_text()
        alarms = json.loads(re.search(r"^alarms = (\[.*\])$", manifest, re.M)[1])
        known = set(json.loads((FILES / "schema/eve.schema.json").read_text())["properties"]["serveflow"]["properties"])
        attack = json.loads(run(SERVEFLOW, "bundle", "inspect", "--attack", "channel").stdout)
        labels = set()
        for file in (FILES / "sigma").glob("*.yml"):
            rule = yaml.safe_load(file.read_text())
            labels.update(rule["detection"]["label"]["serveflow.label"])
            techniques = {t for label in rule["detection"]["label"]["serveflow.label"] for t in attack[label]}
            tags = {tag.removeprefix("attack.").upper() for tag in rule["tags"]}
            self.assertEqual({t for t in tags if t[1:2].isdigit()}, techniques, file.name)
            used = re.findall(r"serveflow\.([a-z_]+)", file.read_text())
            self.assertLessEqual(set(used), known)
        self.assertEqual(labels, set(alarms), "each alarm has a rule, and nothing else has")

    def test_bom(self):
        from cyclonedx.schema import SchemaVersion
        from cyclonedx.validation.json import JsonStrictValidator

        for bundle in ("channel", "iot-device"):
            text = run(SERVEFLOW, "bundle", "inspect", "--bom", bundle).stdout
            self.assertIsNone(JsonStrictValidator(SchemaVersion.V1_6).validate_str(text), bundle)
            self.assertEqual(text, run(SERVEFLOW, "bundle", "inspect", "--bom", bundle).stdout)

    def test_alerts(self):
        promtool = program("promtool")
        for command in (("check", "rules", "alerts.yml"), ("test", "rules", "alerts_test.yml")):
            out = run(promtool, *command, cwd=ROOT / "packaging")
            self.assertEqual(out.returncode, 0, out.stdout + out.stderr)
        names = set(re.findall(r"alert: (\w+)", (ROOT / "packaging/alerts.yml").read_text()))
        tested = set(re.findall(r"alertname: (\w+)\n +exp_alerts", (ROOT / "packaging/alerts_test.yml").read_text()))
        self.assertEqual(names, tested)

    def test_metrics(self):
        out = run(program("promtool"), "check", "metrics", input=self.sidecar.metrics)
        self.assertEqual(out.returncode, 0, out.stdout + out.stderr)

    def test_dashboard(self):
        """Every query names metrics that a sidecar has, and is one to Prometheus."""
        dashboard = json.loads((FILES / "grafana/serveflow.json").read_text())
        listed = set(re.findall(r"^# TYPE (\w+)", self.sidecar.metrics, re.M))
        listed.add("serveflow_drift_psi")  # which takes more flows than these
        queries = [t["expr"] for p in dashboard["panels"] for t in p["targets"]]
        self.assertGreater(len(queries), 15)
        for query in queries:
            for name in re.findall(r"\b((?:serveflow|process)_\w+)\{", query):
                self.assertIn(re.sub("_bucket$", "", name), listed, query)
        self.assertEqual(len({p["id"] for p in dashboard["panels"]}), len(dashboard["panels"]))
        promtool = program("promtool")
        with tempfile.TemporaryDirectory() as directory:
            rules = {
                "groups": [
                    {
                        "name": "dashboard",
                        "rules": [
                            {"record": f"query_{i}", "expr": q.replace("$__rate_interval", "1m").replace("$instance", ".*")}
                            for i, q in enumerate(queries)
                        ],
                    }
                ]
            }
            path = pathlib.Path(directory, "rules.yml")
            path.write_text(yaml.safe_dump(rules))
            out = run(promtool, "check", "rules", path)
            self.assertEqual(out.returncode, 0, out.stdout + out.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
