"""Golden rows: inputs of a model with the probabilities that it gave in training."""

import json

import lightgbm as lgb
import numpy as np

from . import lighttext, network
from .table import Table

SUFFIX = ".golden.json"
FLOWS = 19  # real flows, one of each class where there are so many
EDGES = 13  # rows of values at the thresholds of trees


def rows(model: bytes, name: str, table: Table, rng: np.random.Generator) -> bytes:
    """The golden rows of a model, from its bytes and its file's name."""
    if name.endswith(".onnx"):
        net = network.load(model)
        x = _flows(table, net.columns, rng)
        probs = network.forward(net, x)
    else:
        booster = lgb.Booster(model_str=model.decode())
        x = _flows(table, booster.feature_name(), rng)
        x = np.concatenate([x, lighttext.edges(lighttext.from_booster(booster), rng, EDGES)])
        probs = booster.predict(x)

    def numbers(matrix: np.ndarray) -> list[list[float]]:
        return [[float(str(v)) for v in row] for row in np.asarray(matrix, np.float32)]

    return (json.dumps({"rows": numbers(x), "probs": numbers(probs)}, separators=(",", ":")) + "\n").encode()


def _flows(table: Table, names: list[str], rng: np.random.Generator) -> np.ndarray:
    """One training flow of each class, then others, in these columns."""
    train = table.rows("train")
    of_class = [rng.choice(train[table.y[train] == k]) for k in range(len(table.labels))]
    chosen = (of_class + list(rng.choice(train, FLOWS)))[:FLOWS]
    return table.x[np.ix_(chosen, [table.columns.index(n) for n in names])]
