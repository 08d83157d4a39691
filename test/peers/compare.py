"""Compares the sidecar with what else labels flows: `make bench-peers`.

Every contender labels the same flows, or scores the same rows, in turn and in
several rounds. What counts is CPU time: user and system time of its process and
of those that it starts. docs/measurements/performance.md says what is in it and what not.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import sys
import time
from pathlib import Path

import contenders
import report

PACKAGES = ("numpy", "lightgbm", "nfstream", "onnxruntime", "treelite", "tl2cgen", "lleaves")


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--serveflow", default="bin/serveflow")
    a.add_argument("--bundle", required=True, help="name of a bundle in models")
    a.add_argument("--manifest", required=True, help="captures with splits train and test")
    a.add_argument("--label", required=True, help="column of the manifest")
    a.add_argument("--rounds", type=int, default=3)
    a.add_argument("--seconds", type=float, default=3, help="how long each contender runs in a round")
    a.add_argument("--dir", default="build/peers", help="for captures, and what takes long to compile")
    a.add_argument("--json", default="build/peers.json", help="write the report here")
    o = a.parse_args()
    load, start = os.getloadavg()[0], time.monotonic()

    def progress(text):
        print(f"{time.monotonic() - start:5.0f} s  {text}", file=sys.stderr, flush=True)

    progress("recording the flows")
    setting = contenders.Setting(o, progress)
    kinds = (contenders.Sidecar, contenders.Consumer, contenders.NFStream, contenders.Replay)
    labelling, scoring = [kind(setting) for kind in kinds], contenders.Engines(setting)
    peers, rows = {}, {}
    for number in range(o.rounds):
        for contender, into in [(c, peers) for c in labelling] + [(scoring, rows)]:
            for name, found in contender.run():
                into.setdefault(name, []).append(found)
                what = name if into is peers else "{}, batch of {}".format(*name)
                progress(f"round {number + 1} of {o.rounds}: {what}: {found['rate']:,.0f}")
    made = {
        "bundle": setting.bundle.name,
        "flows": len(setting.flows),
        "rounds": o.rounds,
        "versions": {"Python": platform.python_version()} | {p: importlib.metadata.version(p) for p in PACKAGES},
        "load": [load, os.getloadavg()[0]],
        **report.make(peers, rows),
    }
    report.write(made, sys.stdout)
    Path(o.json).write_text(json.dumps(made, indent=2) + "\n")


if __name__ == "__main__":
    main()
