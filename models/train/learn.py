"""Fits the models of a bundle. Every function is deterministic in its seed."""

import warnings

import lightgbm as lgb
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier

from . import lighttext, network
from .table import Table

# Limit on training flows of one session: a few devices have sessions of hundreds of
# similar flows.
SESSION_FLOWS = 200
THREADS = 1  # on a busy machine more threads wait for each other

BOOSTING = {
    "objective": "multiclass",
    "verbose": -1,
    "num_threads": THREADS,
    "deterministic": True,
    "force_col_wise": True,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
}

# Resolution of boosting. Fine bins and small leaves learn the details of single sessions;
# where a table has sizes only, telling them apart exactly is worth more.
DETAIL = {
    "coarse": {"max_bin": 63, "min_data_in_leaf": 20},
    "fine": {"max_bin": 1023, "min_data_in_bin": 1, "min_data_in_leaf": 5},
}


def tree(table: Table, packets: int, power: float, min_leaf: int, seed: int = 1) -> lighttext.Ensemble:
    """A decision tree on the first packets, as an Ensemble."""
    rows = table.capped(table.asked(table.rows("train"), packets), SESSION_FLOWS, seed)
    columns = table.upto(packets)
    x, y = table.cells(rows, columns, packets), table.y[rows]
    weight = table.weights(rows, power)
    fitted = DecisionTreeClassifier(max_depth=20, min_samples_leaf=min_leaf, random_state=seed)
    fitted.fit(x, y, sample_weight=weight)
    # Leaves of few flows must not get as high a probability as leaves of many: one flow,
    # spread over the classes by their shares, is added to the counts of each leaf.
    classes = len(table.labels)
    count = np.zeros((fitted.tree_.node_count, classes))
    np.add.at(count, (fitted.apply(x), y), weight)
    prior = np.bincount(y, weights=weight, minlength=classes) / weight.sum()
    probs = (count + prior) / (count.sum(axis=1, keepdims=True) + 1)
    infos = [f"[{low:g}:{high:g}]" for low, high in zip(x.min(axis=0), x.max(axis=0))]
    return lighttext.from_tree(fitted.tree_, probs, [table.columns[c] for c in columns], infos)


def boosted(
    table: Table,
    packets: int,
    rounds: int,
    leaves: int,
    rate: float,
    detail: str,
    power: float,
    columns_share: float = 0.3,
    no_payload: float = 0.0,
    session_flows: int = SESSION_FLOWS,
    seed: int = 1,
) -> lighttext.Ensemble:
    """Gradient boosting on the first packets, as an Ensemble.

    Each tree chooses from a share columns_share of the columns, drawn at random.
    A share no_payload of the flows is there a second time, without bytes of payload,
    so that the model serves taps that send none.
    """
    rows = table.capped(table.asked(table.rows("train"), packets), session_flows, seed)
    columns = table.upto(packets)
    x, y, weight = table.cells(rows, columns, packets), table.y[rows], table.weights(rows, power)
    again = np.random.default_rng(seed).random(len(rows)) < no_payload
    x = np.concatenate([x, table.without_payload(x[again], columns)])
    data = lgb.Dataset(
        x,
        np.concatenate([y, y[again]]),
        weight=np.concatenate([weight, weight[again]]),
        feature_name=[table.columns[c] for c in columns],
    )
    params = {
        "num_class": len(table.labels),
        "num_leaves": leaves,
        "learning_rate": rate,
        "feature_fraction": columns_share,
        "feature_contri": table.gain[columns].tolist(),
        "seed": seed,
    }
    return lighttext.from_booster(lgb.train(BOOSTING | DETAIL[detail] | params, data, num_boost_round=rounds))


def net(table: Table, names: list[str], hidden: list[int], power: float, seed: int = 1) -> network.Network:
    """A network on the named columns."""
    rows = table.capped(table.rows("train"), SESSION_FLOWS, seed)
    columns = [table.columns.index(name) for name in names]
    x = network.squash(table.x[np.ix_(rows, columns)])
    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale[scale == 0] = 1
    fitted = MLPClassifier(
        hidden_layer_sizes=hidden, alpha=1e-3, learning_rate_init=2e-3, batch_size=128, max_iter=60, random_state=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of passes is the choice here
        fitted.fit((x - mean) / scale, table.y[rows], sample_weight=table.weights(rows, power))
    # A class without training rows has no output of scikit-learn; here it gets one that never wins.
    weights, biases = [*fitted.coefs_], [*fitted.intercepts_]
    last, bias = weights[-1], biases[-1]
    weights[-1] = np.zeros((last.shape[0], len(table.labels)))
    biases[-1] = np.full(len(table.labels), -30.0)
    weights[-1][:, fitted.classes_], biases[-1][fitted.classes_] = last, bias
    return network.Network(list(names), mean, scale, weights, biases)
