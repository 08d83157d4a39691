"""Reads the Parquet that `serveflow extract` writes."""

import json
import re
from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq

SPLITS = ("train", "calibration", "test")
PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58}
_PACKET = re.compile(r"(?:p|first)(\d+)_")


def packet_of(column):
    """The highest packet of a flow that a feature column speaks of."""
    match = _PACKET.match(column)
    return int(match.group(1)) if match else 1


@dataclass
class Table:
    """Flows of some protocols: one row each in every array.

    x holds the features that tell training flows apart, float32; columns
    names them. labels are the classes in the order of y.
    """

    about: dict  # packets, sections, masks, events
    protocols: list
    columns: list
    x: np.ndarray
    labels: list
    y: np.ndarray
    split: np.ndarray
    session: np.ndarray
    packets: np.ndarray

    def rows(self, split):
        return np.flatnonzero(self.split == split)

    def upto(self, packets):
        """Indexes of the columns that speak of no later packet."""
        return np.array([i for i, c in enumerate(self.columns) if packet_of(c) <= packets])

    def capped(self, rows, flows, seed):
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

    def weights(self, rows, power):
        """A weight for each of rows: (1 / flows of the class) ** power, mean 1."""
        count = np.bincount(self.y[rows], minlength=len(self.labels))
        weight = (1 / np.maximum(count, 1)) ** power
        return weight[self.y[rows]] / weight[self.y[rows]].mean()


def read(path, protocols):
    """Reads the flows of the named protocols, without the columns that are
    constant in training or that repeat another there: a model cannot gain from
    them."""
    file = pq.ParquetFile(path)
    about = json.loads(file.metadata.metadata[b"serveflow.features"])
    names = file.schema_arrow.names
    features = names[names.index(f"wait_{about['packets']}") + 1 :]
    info = file.read(["file", "split", "label", "packets", "proto"])
    served = np.isin(info["proto"].to_numpy(), [PROTOCOLS[name] for name in protocols])
    meta = info.filter(served).to_pydict()
    split = np.array(meta["split"])
    unknown = set(split) - set(SPLITS)
    if unknown:
        raise ValueError(f"{path}: splits {sorted(unknown)}, must be {', '.join(SPLITS)}")
    train = split == "train"

    columns, kept, seen = [], [], set()
    for chunk in range(0, len(features), 1024):
        part = file.read(features[chunk : chunk + 1024])
        for name in part.schema.names:
            values = part[name].to_numpy()[served].astype(np.float32)
            shown = values[train]
            key = shown.tobytes()
            if (shown == shown[0]).all() or key in seen:
                continue
            seen.add(key)
            columns.append(name)
            kept.append(values)
    label = np.array(meta["label"])
    labels = sorted(set(label[train].tolist()))
    strangers = sorted(set(label.tolist()) - set(labels))
    if strangers:
        raise ValueError(f"{path}: no training flow of {', '.join(strangers)}")
    return Table(
        about=about,
        protocols=protocols,
        columns=columns,
        x=np.stack(kept, axis=1),
        labels=labels,
        y=np.searchsorted(labels, label),
        split=split,
        session=np.array(meta["file"]),
        packets=np.array(meta["packets"]),
    )
