"""Trains the candidates that `serveflow tune` chooses a cascade from.

    serveflow extract --manifest M.csv --label L --output packet.parquet
    serveflow extract --manifest M.csv --label L --events meta --output meta.parquet
    .venv/bin/python -m models.train.train --recipe models/train/iot-device.toml \
        --packet packet.parquet --meta meta.parquet --output candidates

A candidate is one model on one number of packets; the recipe lists them. Each
is trained on all training sessions, and again on all but one fold of them, for
every fold: what these say of the fold they have not seen is what tune chooses
by. The calibration sessions are left to what is promised, the test sessions to
what is measured; nothing here looks at either. The same input gives the same
candidates, and those that are there already are not trained again.
"""

import argparse
import datetime
import hashlib
import json
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np

from . import golden, learn, lighttext, network
from . import table as tables

MAX_TEXT = 3 << 20  # bytes of a model
MANIFEST = "candidates.toml"
MADE = "made.json"  # what the files were made from
HELD = "held"  # the split of the fold that is left out

START = time.monotonic()


def say(*what: object) -> None:
    print(f"{time.monotonic() - START:6.0f} s ", *what, file=sys.stderr, flush=True)


@dataclass
class Candidate:
    """One model on one number of packets."""

    name: str
    events: str  # "packet" or "meta"
    kind: str  # "tree", "boosted" or "network"
    packets: int
    settings: dict[str, Any]

    @property
    def file(self) -> str:
        return self.name + (".onnx" if self.kind == "network" else ".txt")

    def fold_file(self, fold: int) -> str:
        stem, suffix = self.file.rsplit(".", 1)
        return f"{stem}.fold{fold}.{suffix}"

    def about(self) -> str:
        return ", ".join(f"{k} {v}" for k, v in self.settings.items())

    def like(self) -> tuple[str, int, str]:
        """What it is apart from the events: on one table it is the same model."""
        return (self.kind, self.packets, repr(self.settings))

    def model(self, table: tables.Table) -> bytes:
        """The bytes of its model, trained on the training rows of table."""
        if self.kind == "network":
            names = columns_of(learn.boosted(table, self.packets, **self.settings["columns"]))
            rest = {k: v for k, v in self.settings.items() if k != "columns"}
            return network.export(learn.net(table, names, **rest)).SerializeToString(deterministic=True)
        fit = learn.tree if self.kind == "tree" else learn.boosted
        text = lighttext.write(fit(table, self.packets, **self.settings))
        if len(text) > MAX_TEXT:
            raise ValueError(f"{self.name}: {len(text)} bytes of text, {self.about()}")
        return text.encode()


def columns_of(ensemble: lighttext.Ensemble) -> list[str]:
    """The columns that trees use."""
    return lgb.Booster(model_str=lighttext.write(ensemble)).feature_name()


def listed(recipe: dict[str, Any]) -> list[Candidate]:
    """The candidates of a recipe."""
    found = []
    for entry in recipe["candidate"]:
        settings = {k: v for k, v in entry.items() if k not in ("name", "events", "kind", "packets")}
        for events in entry["events"]:
            for packets in entry["packets"]:
                name = ("meta-" if events == "meta" else "") + f"{entry['name']}{packets}"
                found.append(Candidate(name, events, entry["kind"], packets, settings))
    names = [c.name for c in found]
    if len(set(names)) < len(names):
        raise ValueError("two candidates have one name: " + ", ".join(sorted({n for n in names if names.count(n) > 1})))
    return found


def folds_of(table: tables.Table, folds: int) -> dict[str, int]:
    """A fold for each training session: those of a class are dealt out in turn.

    The sessions of a source stay together. A source with flows of several classes
    is dealt out as one of that which has the fewest sources: such a class can least
    do with all of them in one fold.
    """
    rng = np.random.default_rng(1)
    train = table.rows("train")
    pairs = sorted(set(zip(table.source[train].tolist(), table.y[train].tolist())))
    sources = Counter(k for _, k in pairs)
    label: dict[str, int] = {}
    for s, k in pairs:
        if s not in label or sources[k] < sources[label[s]]:
            label[s] = k
    fold = {}
    for k in range(len(table.labels)):
        of_class = sorted(s for s in label if label[s] == k)
        # Each class begins at another fold, or the first would have most.
        for i, j in enumerate(rng.permutation(len(of_class))):
            fold[of_class[j]] = (i + k) % folds
    return {session: fold[s] for session, s in zip(table.session[train].tolist(), table.source[train].tolist())}


class Folder:
    """Files of candidates, what each was made from, and their digests."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.digests: dict[str, str] = {}
        self.made: dict[str, list[str]] = {}
        directory.mkdir(parents=True, exist_ok=True)
        if (directory / MADE).exists():
            self.made = json.loads((directory / MADE).read_text())

    def add(self, name: str, source: str, make: Callable[[], bytes]) -> bytes:
        """The bytes of a file, made unless it is there, whole, from this source."""
        path = self.directory / name
        data = path.read_bytes() if path.exists() else b""
        if self.made.get(name) != [source, _digest(data)]:
            data = make()
            self._write(name, data)
            self.made[name] = [source, _digest(data)]
            self._write(MADE, json.dumps(self.made, indent=1).encode())
        self.digests[name] = _digest(data)
        return data

    def _write(self, name: str, data: bytes) -> None:
        part = self.directory / (name + ".part")
        part.write_bytes(data)
        part.rename(self.directory / name)


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def train(
    folder: Folder, candidates: list[Candidate], table: tables.Table, folds: int, source: str, models: dict[tuple, bytes]
) -> dict[str, int]:
    """Trains the candidates, unless models has them: those trained before, by what they are."""
    fold_of = folds_of(table, folds)

    def model(c: Candidate, table: tables.Table, fold: int | None) -> bytes:
        key = (source, c.like(), fold)
        if key not in models:
            models[key] = c.model(table)
        return models[key]

    fold = np.array([fold_of.get(s, -1) for s in table.session])
    for c in candidates:
        started = time.monotonic()
        made_from = f"{source} {c}"
        data = folder.add(c.file, made_from, lambda: model(c, table, None))
        rng = np.random.default_rng(1)
        folder.add(c.file + golden.SUFFIX, made_from, lambda: golden.rows(data, c.file, table, rng))
        for f in range(folds):
            without = replace(table, split=np.where(fold == f, HELD, table.split))
            folder.add(c.fold_file(f), f"{made_from} without {f} of {folds}", lambda: model(c, without, f))
        say(f"{c.name}: {c.about()}: {len(data) >> 10} KiB, {time.monotonic() - started:.1f} s")
    return fold_of


def manifest(
    recipe: dict[str, Any],
    table: tables.Table,
    candidates: list[Candidate],
    digests: dict[str, str],
    fold_of: dict[str, int],
    date: str,
) -> str:
    def toml(value: object) -> str:
        """Strings, numbers and lists of them, as TOML and JSON write them alike."""
        return json.dumps(value, ensure_ascii=False)

    lines = [f"{k} = {toml(recipe[k])}" for k in ("name", "version", "task")]
    lines += [f"labels = {toml(table.labels)}"]
    lines += [f"{k} = {toml(recipe[k])}" for k in ("alarms", "background") if k in recipe]
    lines += ["", "[features]"]
    lines += [
        f"packets = {table.about['packets']}",
        f"protocols = {toml(table.protocols)}",
        f"quiet = {recipe['quiet']}",
        f"sections = {toml(table.about['sections'])}",
        f"masks = {toml(table.about['masks'])}",
        "",
        "[agrees]",
        *(f"{toml(label)} = {toml(names)}" for label, names in recipe.get("agrees", {}).items()),
        "",
        "[attack]",
        *(f"{toml(label)} = {toml(ids)}" for label, ids in recipe.get("attack", {}).items()),
        "",
        "[provenance]",
        *(f"{k} = {toml(recipe['provenance'][k])}" for k in ("data", "licence", "citation")),
        f"trained = {toml(date)}",
        'trainer = "models/train/train.py, serveflow tune"',
        "",
        "[text]",
        *(f"{k} = {toml(recipe['text'][k].strip())}" for k in ("use", "limits", "data")),
    ]
    for c in candidates:
        lines += [
            "",
            "[[candidate]]",
            f"name = {toml(c.name)}",
            f"events = {toml(c.events)}",
            f"packets = {c.packets}",
            f"model = {toml(c.file)}",
            f"kind = {toml('onnx' if c.kind == 'network' else 'lightgbm')}",
            f"folds = {toml([c.fold_file(f) for f in range(recipe['folds'])])}",
            f"about = {toml(c.about())}",
        ]
    lines += ["", "[folds]", *(f"{toml(s)} = {f}" for s, f in sorted(fold_of.items()))]
    lines += ["", "[files]", *(f"{toml(n)} = {toml(d)}" for n, d in sorted(digests.items()))]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Trains the candidates that `serveflow tune` chooses from.")
    parser.add_argument("--recipe", type=Path, required=True, help="TOML file with name, task, candidates, provenance and text")
    parser.add_argument("--packet", type=Path, help="Parquet of `serveflow extract`")
    parser.add_argument("--meta", type=Path, help="Parquet of `serveflow extract --events meta`")
    parser.add_argument("--output", type=Path, required=True, help="directory of the candidates")
    parser.add_argument("--date", default=datetime.date.today().isoformat(), help="date of training")
    args = parser.parse_args()

    recipe = tomllib.loads(args.recipe.read_text())
    if not recipe.get("candidate") or "folds" not in recipe:
        raise ValueError(f"{args.recipe}: no [[candidate]], or no folds: models/train/iot-device.toml has some")
    folder, every = Folder(args.output), listed(recipe)
    table: tables.Table | None = None
    fold_of: dict[str, int] = {}
    models: dict[tuple, bytes] = {}
    for events, path in (("meta", args.meta), ("packet", args.packet)):
        candidates = [c for c in every if c.events == events]
        if path is None and candidates:
            raise ValueError(f"the recipe has candidates for {events} events: give --{events}")
        if not candidates:
            continue
        labels = table.labels if table else None
        table = tables.read(path, recipe)
        if labels and labels != table.labels:
            raise ValueError("the two tables have other labels")
        say(f"{events}: {len(table.y)} flows, {len(table.columns)} columns, {len(candidates)} candidates")
        settings = [recipe.get(k) for k in ("protocols", "quiet", "labels", "background", "hide", "cut", "gain")]
        source = _digest(path.read_bytes() + repr(settings).encode())
        fold_of = train(folder, candidates, table, recipe["folds"], source, models)
    assert table is not None  # the recipe has a candidate
    (args.output / MANIFEST).write_text(manifest(recipe, table, every, folder.digests, fold_of, args.date))
    say(f"{args.output}: done")


if __name__ == "__main__":
    main()
