"""Trains a bundle on what `serveflow extract` wrote.

    serveflow extract --manifest M.csv --label L --output packet.parquet
    serveflow extract --manifest M.csv --label L --events meta --output meta.parquet
    .venv/bin/python models/train/train.py --recipe models/train/iot-device.toml \
        --packet packet.parquet --meta meta.parquet --output models/iot-device

The bundle gets two cascades: one for taps that send headers, one for those that
do not. Each is a decision tree on the first packet, gradient boosting on a few
and gradient boosting on ten. A small network on the same features as the last
of them lies beside, as an alternative last stage. Models are trained on the
training sessions, chosen on the calibration sessions, and measured on the test
sessions, on which it chooses nothing. The same input gives the same bundle.
"""

import argparse
import datetime
import sys
import time
import tomllib
from itertools import product
from pathlib import Path

import lightgbm as lgb
import numpy as np

import bundle
import calibrate
import choose
import learn
import lighttext
import measure
import network
import table as tables

# What is tried; the choice is made on calibration.
SLOW = [
    {"rounds": 60, "leaves": 31, "rate": 0.1, "detail": detail, "power": power}
    for detail, power in product(learn.DETAIL, (0, 0.25, 0.5))
]
FEW = [
    {"packets": packets, "rounds": 40, "leaves": 15, "rate": 0.1, "detail": detail, "power": power}
    for packets, detail, power in product((2, 3), learn.DETAIL, (0.25, 0.5))
]
TREE = [{"min_leaf": min_leaf, "power": power} for min_leaf, power in product((1, 3), (0, 0.25, 0.5))]
NET = [{"hidden": hidden, "power": 0.5} for hidden in ((64,), (128, 64))]
MAX_TEXT = 3 << 20  # bytes of a model

START = time.monotonic()


def say(*what):
    print(f"{time.monotonic() - START:6.0f} s ", *what, file=sys.stderr, flush=True)


def predict(text, table):
    """What LightGBM makes of a canonical text, as float32."""
    booster = lgb.Booster(model_str=text)
    columns = [table.columns.index(name) for name in booster.feature_name()]
    return booster.predict(table.x[:, columns], num_threads=learn.THREADS).astype(np.float32)


def candidate(name, packets, ensemble, table, about):
    text = lighttext.write(ensemble)
    if len(text) > MAX_TEXT:
        raise ValueError(f"{name}: {len(text)} bytes of text, {about}")
    return choose.Candidate(name, packets, text, predict(text, table), about)


def words(settings):
    return ", ".join(f"{k} {v}" for k, v in settings.items())


def candidates(table):
    """Trees, few-packet and slow models of one kind of events."""
    rows = table.rows("calibration")
    packets = table.about["packets"]

    def all_of(kind, grid, fit, at):
        made = []
        for s in grid:
            n = at(s)
            prefix = "" if table.about["events"] == "packet" else "meta-"
            made.append(candidate(f"{prefix}{kind}{n}", n, fit(s), table, words(s)))
            said = made[-1].probs[rows].argmax(1)
            f1 = calibrate.f1(table.y[rows], said, len(table.labels))
            say(f"{made[-1].name}: {words(s)}: macro F1 {f1:.4f} on calibration, {len(made[-1].text) >> 10} KiB")
        return made

    return (
        all_of("tree", TREE, lambda s: learn.tree(table, 1, **s), lambda s: 1),
        all_of("boost", FEW, lambda s: learn.boosted(table, **s), lambda s: s["packets"]),
        all_of("boost", SLOW, lambda s: learn.boosted(table, packets, **s), lambda s: packets),
    )


def cascade(table, promise):
    """The cascade for one kind of events."""
    fast, few, slow = candidates(table)
    rows = table.rows("calibration")
    last = choose.slow(slow, table.y, rows)
    made = choose.cascade(
        fast, few, last, table.y, table.packets, rows, promise["target_errors"], promise["delta"], promise["loss"]
    )
    shares = ", ".join(f"{m.name} ({m.about}) {share:.1%}" for m, share in zip(made.models, made.settled))
    say(f"settled by {shares}; target error {made.error}, macro F1 {made.macro:.4f}")
    return made


def best_network(table, names):
    rows = table.rows("calibration")
    best = (-1.0, None, None, None)
    for s in NET:
        net = learn.net(table, names, **s)
        columns = [table.columns.index(name) for name in names]
        probs = network.forward(net, table.x[:, columns]).astype(np.float32)
        f1 = calibrate.f1(table.y[rows], probs[rows].argmax(1), len(table.labels))
        say(f"network: {words(s)}: macro F1 {f1:.4f} on calibration")
        best = max(best, (f1, net, probs, words(s)), key=lambda b: b[0])
    return best[1:]


def main():
    args = argparse.ArgumentParser(description="Trains a bundle on what `serveflow extract` wrote.")
    args.add_argument("--recipe", type=Path, required=True, help="TOML file with name, task, provenance and text")
    args.add_argument("--packet", type=Path, required=True, help="Parquet of `serveflow extract`")
    args.add_argument("--meta", type=Path, required=True, help="Parquet of `serveflow extract --events meta`")
    args.add_argument("--output", type=Path, required=True, help="directory of the bundle")
    args.add_argument("--date", default=datetime.date.today().isoformat(), help="date of training in the manifest")
    args = args.parse_args()

    recipe = tomllib.loads(args.recipe.read_text())
    packet, meta = (tables.read(path, recipe["protocols"], recipe["quiet"]) for path in (args.packet, args.meta))
    if packet.labels != meta.labels:
        raise ValueError("the two tables have other labels")
    say(f"{len(packet.y)} flows, {len(packet.columns)} columns with headers, {len(meta.columns)} without")

    by_packet, by_meta = (cascade(table, recipe["promise"]) for table in (packet, meta))
    error = max(by_packet.error, by_meta.error)
    slow = by_packet.models[-1]
    names = lgb.Booster(model_str=slow.text).feature_name()
    net, net_probs, net_about = best_network(packet, names)

    say("measuring on test")
    figures = measure.Figures(
        packet=measure.of_cascade(by_packet, packet),
        meta=measure.of_cascade(by_meta, meta),
        net=measure.of_probs(net_probs, packet),
        net_about=net_about,
        error=error,
    )
    out = bundle.Writer(args.output, packet.labels, np.random.default_rng(1))
    for c, t in ((by_packet, packet), (by_meta, meta)):
        for m in c.models:
            out.lightgbm(m, t)
    out.onnx("net10.onnx", net, packet)
    out.text("DATASHEET.md", measure.datasheet(recipe, packet, figures))
    out.manifest(recipe, packet, by_packet, by_meta, error, args.date)
    say(f"{args.output}: done")


if __name__ == "__main__":
    main()
