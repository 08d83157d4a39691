"""LightGBM models as canonical text.

Canonical text is version v3 with what predictions need and nothing else. It is
made from a booster or from a scikit-learn tree, and exact:

- Features that no tree uses are left out and the others renumbered.
- A threshold is replaced by the shortest decimal that no float32 tells from
  it: features are float32, so every flow takes the same way.
- Values of leaves are rounded to float32.

LightGBM itself reads the result, and what it then predicts goes into the
golden rows.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

TINY = 2.0**-100


@dataclass
class Tree:
    """Nodes as LightGBM numbers them: a child below zero is the leaf ~child."""

    feature: list[int]
    threshold: list[float]
    left: list[int]
    right: list[int]
    leaf: list[float]


@dataclass
class Ensemble:
    columns: list[str]
    infos: list[str]  # "[min:max]" of each column in training
    classes: int
    trees: list[Tree]


def from_booster(booster: Any) -> Ensemble:
    """Parses the text of a multiclass booster without categorical splits."""
    head, *sections = booster.model_to_string().split("\nend of trees\n")[0].split("\nTree=")
    header = _fields(head)
    trees = []
    for section in sections:
        field = _fields(section)
        if field["num_cat"] != "0" or field["is_linear"] != "0":
            raise ValueError("categorical splits and linear trees are not written")
        decisions = set(field["decision_type"].split())
        if not decisions <= {"0", "2"}:
            raise ValueError("features must have no missing values (NaN)")
        trees.append(
            Tree(
                feature=[int(v) for v in field["split_feature"].split()],
                threshold=[float(v) for v in field["threshold"].split()],
                left=[int(v) for v in field["left_child"].split()],
                right=[int(v) for v in field["right_child"].split()],
                leaf=[float(v) for v in field["leaf_value"].split()],
            )
        )
    return Ensemble(
        columns=header["feature_names"].split(" "),
        infos=header["feature_infos"].split(" "),
        classes=int(header["num_class"]),
        trees=trees,
    )


def _fields(section: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in section.splitlines() if "=" in line)


def from_tree(tree: Any, probs: np.ndarray, columns: Iterable[str], infos: Iterable[str]) -> Ensemble:
    """Turns a fitted sklearn tree (its `tree_`) into one tree a class.

    probs holds class probabilities of every node; those of leaves are used.
    The raw score of a class is the logarithm of its probability, so that the
    softmax gives the probabilities back. Leaves that say the same of a class
    are merged in that class's tree.
    """
    scores = np.log(np.maximum(probs, 1e-9))
    trees = [_tree_of_class(tree, scores[:, k]) for k in range(probs.shape[1])]
    return Ensemble(columns=list(columns), infos=list(infos), classes=probs.shape[1], trees=trees)


def _tree_of_class(tree: Any, score: np.ndarray) -> Tree:
    def merged(node: int) -> Any:
        """The subtree as a value, or as (node, left, right)."""
        left, right = tree.children_left[node], tree.children_right[node]
        if left < 0:
            return float(np.float32(score[node]))
        below = merged(left), merged(right)
        if isinstance(below[0], float) and below[0] == below[1]:
            return below[0]
        return node, *below

    out = Tree([], [], [], [], [])

    def number(subtree: Any) -> int:
        if isinstance(subtree, float):
            out.leaf.append(subtree)
            return ~(len(out.leaf) - 1)
        node, left, right = subtree
        index = len(out.feature)
        out.feature.append(int(tree.feature[node]))
        out.threshold.append(float(tree.threshold[node]))
        out.left.append(0)
        out.right.append(0)
        out.left[index] = number(left)
        out.right[index] = number(right)
        return index

    number(merged(0))
    return out


def write(ensemble: Ensemble) -> str:
    """Returns the canonical text."""
    used = sorted({f for t in ensemble.trees for f in t.feature})
    # LightGBM cannot read a model without features.
    used = used or [0]
    place = {f: i for i, f in enumerate(used)}
    sections = [_section(i, t, place) for i, t in enumerate(ensemble.trees)]
    return "\n".join(
        [
            "tree",
            "version=v3",
            f"num_class={ensemble.classes}",
            f"num_tree_per_iteration={ensemble.classes}",
            "label_index=0",
            f"max_feature_idx={len(used) - 1}",
            f"objective=multiclass num_class:{ensemble.classes}",
            "feature_names=" + " ".join(ensemble.columns[f] for f in used),
            "feature_infos=" + " ".join(ensemble.infos[f] for f in used),
            "tree_sizes=" + " ".join(str(len(s)) for s in sections),
            "",
            "".join(sections) + "end of trees",
            "",
        ]
    )


def _section(i: int, tree: Tree, place: dict[int, int]) -> str:
    def line(name: str, values: Iterable) -> str:
        return name + "=" + " ".join(str(v) for v in values)

    nodes = len(tree.feature)
    return "\n".join(
        [
            f"Tree={i}",
            f"num_leaves={len(tree.leaf)}",
            "num_cat=0",
            line("split_feature", [place[f] for f in tree.feature]),
            line("threshold", [shortest(t) for t in tree.threshold]),
            line("decision_type", ["2"] * nodes),
            line("left_child", tree.left),
            line("right_child", tree.right),
            line("leaf_value", [np.float32(v) for v in tree.leaf]),
            "is_linear=0",
            "shrinkage=1",
            "",
            "",
        ]
    )


def shortest(threshold: float) -> str:
    """The shortest decimal t with (x <= t) == (x <= threshold) for all float32 x."""
    low = floor32(threshold)
    high = float(np.nextafter(np.float32(low), np.float32(np.inf)))
    for digits in range(1, 18):
        text = f"{threshold:.{digits}g}"
        if low <= float(text) < high:
            return text
    raise ValueError(f"no decimal for the threshold {threshold!r}")


def floor32(value: float) -> float:
    """The greatest float32 that is not above value."""
    v = np.float32(value)
    return float(v) if float(v) <= value else float(np.nextafter(v, np.float32(-np.inf)))


def edges(ensemble: Ensemble, rng: np.random.Generator, rows: int) -> np.ndarray:
    """Rows of values at the thresholds: as often the greatest that goes left as
    the least that goes right, which pins both `<=` and the width of floats.

    The columns are those that write keeps, in its order.
    """
    used = sorted({f for t in ensemble.trees for f in t.feature}) or [0]
    choices = {f: [-1.0] for f in used}
    for tree in ensemble.trees:
        for feature, threshold in zip(tree.feature, tree.threshold):
            low = np.float32(floor32(threshold))
            high = np.nextafter(low, np.float32(np.inf))
            # LightGBM takes everything up to 1e-35 for zero; no feature is
            # that small without being it.
            if abs(low) < TINY:
                low = -TINY if low < 0 else 0.0
            if abs(high) < TINY:
                high = TINY if high > 0 else 0.0
            choices[feature] += [float(low), float(high)]
    return np.stack([rng.choice(choices[f], rows) for f in used], axis=1).astype(np.float32)
