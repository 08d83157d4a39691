"""Golden rows: what a model says where it was trained, to compare with."""

import json

import lightgbm as lgb
import numpy as np

import lighttext
import network

SUFFIX = ".golden.json"
FLOWS = 19  # real flows, one of each class where there are so many
EDGES = 13  # rows of values at the thresholds of trees


def rows(model, name, table, rng):
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

    def numbers(matrix):
        return [[float(str(v)) for v in row] for row in np.asarray(matrix, np.float32)]

    return (json.dumps({"rows": numbers(x), "probs": numbers(probs)}, separators=(",", ":")) + "\n").encode()


def _flows(table, names, rng):
    """One training flow of each class, then others, in these columns."""
    train = table.rows("train")
    of_class = [rng.choice(train[table.y[train] == k]) for k in range(len(table.labels))]
    chosen = (of_class + list(rng.choice(train, FLOWS)))[:FLOWS]
    return table.x[np.ix_(chosen, [table.columns.index(n) for n in names])]
