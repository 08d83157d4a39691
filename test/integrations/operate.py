"""Gives the dashboard, the alerts and the compose files to the programs that run them."""

import json
import os
import pathlib
import re
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

import yaml
from sidecar import CAPTURES, FILES, ROOT, Sidecar, free_port, program, run

# What is not there before something is wrong, or before thousands of flows.
ABSENT = {"serveflow_drift_psi"}


class Prometheus(unittest.TestCase):
    """A Prometheus server scrapes a sidecar at work."""

    @classmethod
    def setUpClass(cls):
        server = program("prometheus")
        directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(directory.cleanup)
        sidecar = Sidecar(directory.name)
        cls.addClassCleanup(sidecar.stop)
        config = pathlib.Path(directory.name, "prometheus.yml")
        job = {"job_name": "serveflow", "static_configs": [{"targets": [f"127.0.0.1:{sidecar.port}"]}]}
        settings = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(ROOT / "packaging/alerts.yml")],
            "scrape_configs": [job],
        }
        config.write_text(yaml.safe_dump(settings))
        cls.url = f"http://127.0.0.1:{free_port()}"
        listen = cls.url.removeprefix("http://")
        command = (
            server,
            f"--config.file={config}",
            f"--storage.tsdb.path={directory.name}/data",
            f"--web.listen-address={listen}",
        )
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cls.addClassCleanup(process.wait)
        cls.addClassCleanup(process.terminate)
        # Two scrapes with traffic between them, which rates need.
        cls.await_scrapes(2)
        for _ in range(3):
            sidecar.label(CAPTURES)
            cls.await_scrapes(2)

    @classmethod
    def ask(cls, path, **parameters):
        url = f"{cls.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            return json.load(urllib.request.urlopen(url))["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from error

    @classmethod
    def await_scrapes(cls, count):
        start = None
        for _ in range(600):
            time.sleep(0.1)
            try:
                found = cls.ask("query", query='count_over_time(up{job="serveflow"}[1h])')["result"]
            except (urllib.error.URLError, AssertionError):
                continue
            now = int(found[0]["value"][1]) if found else 0
            start = now if start is None else start
            if now >= start + count:
                return
        raise RuntimeError("Prometheus does not scrape the sidecar")

    def test_queries(self):
        """Prometheus answers each query of the dashboard, as Grafana would put it, with numbers."""
        dashboard = json.loads((FILES / "grafana/serveflow.json").read_text())
        queries = [t["expr"] for p in dashboard["panels"] for t in p["targets"]]
        empty = set()
        for query in queries:
            put = query.replace("$__rate_interval", "1m").replace("$instance", ".*")
            if not self.ask("query", query=put)["result"]:
                empty.update(re.findall(r"serveflow_\w+", query))
        self.assertEqual(empty - ABSENT, set())
        self.assertGreater(len(queries), 15)
        (variable,) = [v["definition"] for v in dashboard["templating"]["list"] if v["type"] == "query"]
        metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable).groups()
        self.assertEqual(len(self.ask(f"label/{label}/values", **{"match[]": metric})), 1)

    def test_rules(self):
        """Prometheus evaluates every alert without an error, and none fires for a sidecar that is well."""
        for _ in range(100):
            rules = [r for g in self.ask("rules")["groups"] for r in g["rules"]]
            if all(r["health"] != "unknown" for r in rules):
                break
            time.sleep(0.1)
        named = re.findall(r"alert: (\w+)", (ROOT / "packaging/alerts.yml").read_text())
        self.assertEqual(sorted(r["name"] for r in rules), sorted(named))
        self.assertEqual({r["name"]: r.get("lastError", "") for r in rules if r["health"] != "ok"}, {})
        self.assertEqual([r["name"] for r in rules if r["state"] == "firing"], [])


class Grafana(unittest.TestCase):
    def test_schema(self):
        """The dashboard is as the schema that Grafana publishes says; what is not is refused."""
        text = (FILES / "grafana/serveflow.json").read_text()
        directory = ROOT / "test/integrations/dashboard"
        with tempfile.TemporaryDirectory() as work:
            checker = pathlib.Path(work, "checker")
            built = run(program("go"), "build", "-o", checker, ".", cwd=directory)
            self.assertEqual(built.returncode, 0, built.stderr)
            for change, complaint in (
                (lambda d: None, ""),
                (lambda d: d["panels"][0]["options"].pop("graphMode"), "panels[0].options.graphMode: required"),
                (lambda d: d["panels"][5].update(kind="x"), "kind"),
                (lambda d: d["panels"][5]["targets"][0].update(expr=1), "expr"),
            ):
                dashboard = json.loads(text)
                change(dashboard)
                path = pathlib.Path(work, "dashboard.json")
                path.write_text(json.dumps(dashboard))
                out = run(checker, path)
                self.assertIn(complaint, out.stderr)
                self.assertEqual(out.returncode == 0, complaint == "", out.stderr)


class Compose(unittest.TestCase):
    def test_compose(self):
        """docker-compose takes the files, and says what is not set."""
        compose = program("docker-compose")
        variables = {"INTERFACE": "eth1"}
        for file in ("zeek.yaml", "suricata.yaml"):
            path = FILES / "compose" / file
            out = run(compose, "-f", path, "config", env=os.environ | variables)
            self.assertEqual(out.returncode, 0, out.stderr)
            services = yaml.safe_load(out.stdout)["services"]
            self.assertEqual(len(services), 2)
            (ids,) = [s for name, s in services.items() if name != "serveflow"]
            self.assertIn("eth1", ids["command"])
            self.assertEqual(ids["group_add"], ["65532"])
            # Both have the volume of the socket.
            for service in services.values():
                self.assertTrue(any(str(v).startswith("run:/run/serveflow") for v in service["volumes"]), service)
            out = run(compose, "-f", path, "config", env=os.environ)
            self.assertNotEqual(out.returncode, 0)
            self.assertIn("INTERFACE", out.stderr)
