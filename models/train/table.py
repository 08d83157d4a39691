"""Reads the Parquet that `serveflow extract` writes."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

SPLITS = ("train", "calibration", "test")
MISSING, MISSING_PAYLOAD = -1, -65536  # as package feature writes them
SHAPES, FAR = 6, 255  # packets with payload that have a shape; beyond all packets
PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58}
_PACKET = re.compile(r"(?:p|first)(\d+)_")
_SHAPE = re.compile(r"s(\d+)_(at|dir|size|gap)?")


def packet_of(column: str) -> int:
    """The highest packet of a flow that a feature column speaks of."""
    match = _PACKET.match(column)
    return int(match.group(1)) if match else 1


def shape_of(column: str) -> tuple[int, bool]:
    """Which packet with payload a column of a shape speaks of, and whether of its bytes."""
    match = _SHAPE.match(column)
    return (int(match.group(1)), match.group(2) is None) if match else (0, False)


@dataclass
class Table:
    """Flows of some protocols: one row each in every array.

    x holds the features that tell training flows apart, float32; columns
    names them. labels are the classes in the order of y.
    """

    about: dict[str, Any]  # packets, sections, masks, events
    protocols: list[str]
    columns: list[str]
    x: np.ndarray
    labels: list[str]
    y: np.ndarray
    split: np.ndarray
    session: np.ndarray
    source: np.ndarray  # of the session, or the session where nobody says
    packets: np.ndarray
    # The first packet with payload, 1 for protocols that have none of their own,
    # and where the packets with payload are; FAR where there are none.
    speaks: np.ndarray
    at: np.ndarray
    # How much the gain of a split on each column counts: 1, or less for what
    # differs between networks more than between classes.
    gain: np.ndarray

    def rows(self, split: str) -> np.ndarray:
        return np.flatnonzero(self.split == split)

    def asked(self, rows: np.ndarray, packets: int) -> np.ndarray:
        """Those of rows that a stage of so many packets is asked about.

        The sidecar asks none about packets without payload, but for the last.
        """
        return rows[(self.speaks[rows] <= packets) | (packets >= self.about["packets"])]

    def cells(self, rows: np.ndarray, columns: Sequence[int] | np.ndarray, packets: int) -> np.ndarray:
        """The features of rows as a stage of so many packets sees them.

        What the shapes speak of depends on how many packets there are.
        """
        x = self.x[np.ix_(rows, columns)]
        for i, c in enumerate(columns):
            j, _ = shape_of(self.columns[c])
            if j:
                x[self.at[rows, j - 1] > packets, i] = MISSING
        return x

    def without_payload(self, x: np.ndarray, columns: Sequence[int] | np.ndarray) -> np.ndarray:
        """x as a tap gives it that sends no bytes of payload."""
        x = x.copy()
        x[:, [i for i, c in enumerate(columns) if shape_of(self.columns[c])[1]]] = MISSING
        return x

    def upto(self, packets: int) -> np.ndarray:
        """Indexes of the columns that speak of no later packet."""
        return np.array([i for i, c in enumerate(self.columns) if packet_of(c) <= packets])

    def capped(self, rows: np.ndarray, flows: int, seed: int) -> np.ndarray:
        """rows, with at most so many flows of a session, chosen at random.

        One session of a chatty device must not outweigh ten of a quiet one.
        """
        rng = np.random.default_rng(seed)
        kept = []
        for session in np.unique(self.session[rows]):
            of_session = rows[self.session[rows] == session]
            if len(of_session) > flows:
                of_session = np.sort(rng.choice(of_session, flows, replace=False))
            kept.append(of_session)
        return np.concatenate(kept)

    def weights(self, rows: np.ndarray, power: float) -> np.ndarray:
        """A weight for each of rows: (1 / flows of the class) ** power, mean 1."""
        count = np.bincount(self.y[rows], minlength=len(self.labels))
        weight = (1 / np.maximum(count, 1)) ** power
        return weight[self.y[rows]] / weight[self.y[rows]].mean()


def read(path: Path, recipe: dict[str, Any]) -> Table:
    """Reads the flows of the recipe's protocols as the sidecar would see them.

    Flows that carry no payload are left out, since no model is asked about them;
    flows of labels that the recipe does not list are of its background.

    A flow that is quiet for so many seconds is decided then: packets that come
    later are taken away from its row. A share recipe["cut"] of the training
    flows is there a second time, ended early at a packet drawn at random: captures
    of others hold many a flow that has but its first packets. Columns that are constant in training
    or that repeat another there are left out: a model cannot gain from them.
    """
    protocols, quiet = recipe["protocols"], recipe["quiet"]
    hidden = re.compile("|".join(recipe.get("hide", [])) or "$^")
    file = pq.ParquetFile(path)
    about = json.loads(file.metadata.metadata[b"serveflow.features"])
    most = about["packets"]
    waits = [f"wait_{k}" for k in range(1, most + 1)]
    names = file.schema_arrow.names
    features = names[names.index(waits[-1]) + 1 :]
    info = file.read(["file", "split", "source", "label", "packets", "proto", *waits])
    served = np.isin(info["proto"].to_numpy(), [PROTOCOLS[name] for name in protocols])
    info = info.filter(served)
    packets = info["packets"].to_numpy().copy()
    seen = _seen(np.stack([info[w].to_numpy() for w in waits], axis=1), quiet * 10**6)
    packets[seen < np.minimum(packets, most)] = seen[seen < np.minimum(packets, most)]
    split = np.array(info["split"].to_pylist())
    row, seen = _cut(split, seen, recipe.get("cut", 0.0))
    split, info, served = split[row], info.take(row), np.flatnonzero(served)[row]
    packets = np.concatenate([packets, seen[len(packets) :]])

    at, speaks = _payload(file, features, served, seen, info["proto"].to_numpy())
    unknown = set(split) - set(SPLITS)
    if unknown:
        raise ValueError(f"{path}: splits {sorted(unknown)}, must be {', '.join(SPLITS)}")
    silent = (speaks == FAR) & (seen < most)
    train = (split == "train") & ~silent
    columns, kept, known = [], [], set()
    sums = _sums(file, features, served, seen)
    for chunk in range(0, len(features), 1024):
        part = file.read(features[chunk : chunk + 1024])
        for name in part.schema.names:
            values = sums.get(name)
            if values is None:
                values = part[name].to_numpy()[served].astype(np.float32)
                values[packet_of(name) > seen] = MISSING_PAYLOAD if name.endswith("_payload") else MISSING
                j, _ = shape_of(name)
                if j:
                    values[at[:, j - 1] == FAR] = MISSING
            if hidden.fullmatch(name):
                continue
            key = values[train].tobytes()
            if (values[train] == values[train][0]).all() or key in known:
                continue
            known.add(key)
            columns.append(name)
            kept.append(values)
    session, source = (np.array(info[c].to_pylist(), dtype=str) for c in ("file", "source"))
    label = np.array(info["label"].to_pylist(), dtype=object)
    if "labels" in recipe:
        listed = [*recipe["labels"], recipe["background"]]
        label[~np.isin(label, listed)] = recipe["background"]
    labels = sorted(set(label[train].tolist()))
    strangers = sorted(set(label[~silent].tolist()) - set(labels))
    if strangers:
        raise ValueError(f"{path}: no training flow of {', '.join(strangers)}")
    keep = ~silent
    return Table(
        about=about,
        protocols=protocols,
        columns=columns,
        x=np.stack(kept, axis=1)[keep],
        labels=labels,
        y=np.searchsorted(labels, label[keep].astype(str)),
        split=split[keep],
        session=session[keep],
        source=np.where(source == "", session, source)[keep],
        packets=packets[keep],
        speaks=speaks[keep],
        at=at[keep],
        gain=np.array([_gain(name, recipe.get("gain", {})) for name in columns]),
    )


def _gain(column: str, gains: dict[str, float]) -> float:
    """The value of the first pattern that matches the whole name of the column, else 1."""
    return next((gain for pattern, gain in gains.items() if re.fullmatch(pattern, column)), 1.0)


def _payload(
    file: pq.ParquetFile, features: list[str], served: np.ndarray, seen: np.ndarray, proto: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where the packets with payload are, and which is the first that may be one."""
    at = np.full((len(served), SHAPES), FAR)
    for j in range(SHAPES):
        if f"s{j + 1}_at" in features:
            values = file.read([f"s{j + 1}_at"]).column(0).to_numpy()[served]
            at[:, j] = np.where((values > 0) & (values <= seen), values, FAR)
    speaks = np.full(len(served), 1)
    names = [n for n in features if re.fullmatch(r"p\d+_payload", n)]
    if names:
        sizes = np.stack([file.read([n]).column(0).to_numpy()[served] for n in names], axis=1)
        has = (sizes != 0) & (np.arange(1, len(names) + 1) <= seen[:, None])
        speaks = np.where(has.any(axis=1), has.argmax(axis=1) + 1, FAR)
        speaks[~np.isin(proto, [PROTOCOLS["tcp"], PROTOCOLS["udp"]])] = 1
    return at, speaks


def _cut(split: np.ndarray, seen: np.ndarray, share: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The rows of a table and how many packets each has: all of them, and a
    share of those of training again with fewer."""
    rng = np.random.default_rng(seed)
    again = np.flatnonzero((split == "train") & (seen > 1) & (rng.random(len(seen)) < share))
    fewer = 1 + np.floor(rng.random(len(again)) * (seen[again] - 1)).astype(seen.dtype)
    return np.concatenate([np.arange(len(seen)), again]), np.concatenate([seen, fewer])


def _seen(waits: np.ndarray, quiet: int) -> np.ndarray:
    """How many of the first packets come before a flow is quiet; times in µs."""
    late = (waits[:, 1:] >= 0) & (np.diff(waits, axis=1) >= quiet)
    present = (waits >= 0).sum(axis=1)
    return np.where(late.any(axis=1), late.argmax(axis=1) + 1, present)


def _sums(file: pq.ParquetFile, features: list[str], served: np.ndarray, seen: np.ndarray) -> dict[str, np.ndarray]:
    """The columns over the first packets, first3_duration for example, which
    stop growing with the last packet seen."""
    by_kind: dict[str, list[str]] = {}
    for name in features:
        if name.startswith("first"):
            by_kind.setdefault(name.partition("_")[2], []).append(name)  # in the order of packets
    sums = {}
    for names in by_kind.values():
        part = file.read(names)
        values = np.stack([part[n].to_numpy()[served].astype(np.float32) for n in names], axis=1)
        for k, name in enumerate(names):
            sums[name] = values[np.arange(len(seen)), np.minimum(k, seen - 1)]
    return sums
