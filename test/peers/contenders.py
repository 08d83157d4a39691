"""Runs what is compared, each in processes of its own.

Contenders yield a name and what was found in one run: rate is flows or rows per
CPU second.
"""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import lightgbm as lgb
import numpy as np

import bundle
import engines
import features
import flows
import measure
import report

HERE = Path(__file__).parent
ENOUGH = 20_000  # flows in a capture that is read as a whole
BATCHES = (1, 64)


def run(command, cpu=None):
    """Runs a command, if asked on one processor alone: its output, and its CPU time."""
    children = (resource.RUSAGE_CHILDREN,)
    before = measure.cpu(children)
    done = subprocess.run(
        [str(c) for c in command],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        preexec_fn=(lambda: os.sched_setaffinity(0, {cpu})) if cpu is not None else None,
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return done.stdout, measure.cpu(children) - before


def last_line(command, cpu):
    """The JSON in the last line of a peer's output: nfstream prints other lines, too."""
    return json.loads(run(command, cpu)[0].splitlines()[-1])


def script(name, *arguments):
    return [sys.executable, HERE / name, *arguments]


class Setting:
    """What all contenders get; making it is not counted."""

    def __init__(self, o, progress):
        self.progress = progress
        self.serveflow, self.name, self.seconds = o.serveflow, o.bundle, o.seconds
        self.dir, self.cpu = Path(o.dir), min(os.sched_getaffinity(0))
        self.dir.mkdir(parents=True, exist_ok=True)
        self.captures = ["--manifest", o.manifest, "--label", o.label, "--split"]
        self.models = HERE.parent.parent / "models" / o.bundle
        self.bundle = bundle.read(self.models)
        self.slow = self.bundle.stages[-1]
        self.train, self.test = self.dir / "train.pickle", self.dir / "test.pickle"
        flows.save(self.train, self._record("train"))
        self.flows = self._record("test")
        flows.save(self.test, self.flows)
        self.copies = max(1, round(ENOUGH / len(self.flows)))
        self.truth = {f.capture: f.truth for f in self.flows}

    def _record(self, split):
        return flows.record(self.serveflow, str(self.models), self.slow.packets, [*self.captures, split])


class Sidecar:
    """Both modes of `serveflow bench`, which binds its processes itself."""

    def __init__(self, s):
        self.command = [s.serveflow, "bench", "--bundle", s.name, *s.captures, "test", "--mode", "cascade,slow"]
        self.command += ["--repeat", 1, "--duration", f"{s.seconds}s", "--cores", 1, "--json"]

    def run(self):
        for mode in json.loads(run(self.command)[0])["modes"]:
            found = {"rate": mode["flows_per_cpu_s"]["median"], "f1_macro": mode["quality"]["f1_macro"]}
            yield f"serveflow, {mode['mode']}", found


class Consumer:
    """Peer (a)."""

    def __init__(self, s):
        self.cpu, self.flows = s.cpu, s.flows
        self.command = script("consumer.py", "--bundle", s.models, "--flows", s.test, "--seconds", s.seconds)

    def run(self):
        for mode, flags in ("cascade", []), ("slow", ["--slow"]):
            said = last_line([*self.command, *flags], self.cpu)
            found = {
                "rate": said["done"] / said["cpu_s"],
                "f1_macro": report.f1_macro([f.truth for f in self.flows], said["labels"]),
            }
            if mode == "cascade":
                found["same"] = sum(f.ours == label for f, label in zip(self.flows, said["labels"], strict=True))
            yield f"queue consumer, {mode}", found


class NFStream:
    """Peer (b)."""

    def __init__(self, s):
        self.cpu = s.cpu
        run(script("meter.py", "train", "--flows", s.train, "--dir", s.dir, "--slow", s.slow.path))
        self.command = script("meter.py", "label", "--flows", s.test, "--dir", s.dir, "--copies", s.copies)

    def run(self):
        said = last_line(self.command, self.cpu)
        f1 = report.f1_macro(said["truth"], said["labels"])
        yield "nfstream with a model", {"rate": said["done"] / said["cpu_s"], "f1_macro": f1}


class Replay:
    """The sidecar and a tap in one process, which read the capture that nfstream reads."""

    def __init__(self, s):
        self.truth, self.cpu = s.truth, s.cpu
        self.command = [s.serveflow, "replay", "--bundle", s.name, "--json"]
        self.joined, self.one = s.dir / "joined.pcap", s.dir / "one.pcap"
        flows.write_capture(self.joined, s.flows, s.copies)
        flows.write_capture(self.one, s.flows[:1])

    def run(self):
        out, used = run([*self.command, self.joined], self.cpu)
        _, starting = run([*self.command, self.one], self.cpu)
        rows = [row for row in map(json.loads, out.splitlines()) if row["reason"] != "unserved"]
        names = list(self.truth)
        truth = [self.truth[flows.capture_of(names, int(row["ts"] * 1000))] for row in rows]
        f1 = report.f1_macro(truth, [row["label"] for row in rows])
        yield "serveflow replay", {"rate": len(rows) / (used - starting), "f1_macro": f1}


class Engines:
    """Peers (c), and the sidecar's own evaluators of trees."""

    def __init__(self, s):
        self.cpu, self.seconds = s.cpu, s.seconds
        self.text, self.rows, self.probs = (s.dir / f"{s.name}.{ending}" for ending in ("txt", "rows", "probs"))
        text = engines.portable(s.slow.path.read_text())
        if not self.text.exists() or self.text.read_text() != text:
            for compiled in s.dir.glob(f"{self.text.name}.*"):
                compiled.unlink()
            self.text.write_text(text)
        encoder = features.Encoder(s.slow.columns)
        rows = np.array([encoder.row(flows.before_quiet(f.packets, s.bundle.quiet)) for f in s.flows])
        rows.tofile(self.rows)
        self.right = lgb.Booster(model_file=str(s.slow.path)).predict(rows, num_threads=1)
        score = s.dir / "score"
        run(["go", "build", "-o", score, "./test/peers/score"])
        for name, engine in engines.ENGINES.items():
            s.progress(f"preparing {name}" + engine.preparing)
            run(script("engines.py", name, "--model", self.text))
        self.own = [score, "--model", s.slow.path, "--classes", len(s.bundle.labels)]

    def each(self, batch):
        """Names and commands."""
        yield report.FOREST, self.own
        if batch == 1:
            yield "serveflow's reference, leaves", [*self.own, "--reference"]
        for name, engine in engines.ENGINES.items():
            if batch == 1 or not engine.single:
                yield name, script("engines.py", name, "--model", self.text)

    def run(self):
        for batch in BATCHES:
            for name, command in self.each(batch):
                common = ["--rows", self.rows, "--batch", batch, "--probs", self.probs, "--seconds", self.seconds]
                said = last_line([*command, *common], self.cpu)
                got = np.fromfile(self.probs, np.float32).reshape(self.right.shape)
                difference = float(np.abs(got - self.right).max())
                yield (name, batch), {"rate": said["done"] / said["cpu_s"], "difference": difference}
