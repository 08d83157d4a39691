"""Makes the small models that the tests of sidecar/model read.

    .venv/bin/python -m models.train.make_testdata

writes LightGBM texts with golden rows to sidecar/model/lightgbm/testdata and
ONNX models with golden rows to sidecar/model/onnx/testdata. The probabilities
in the golden rows are what LightGBM and NumPy compute, so that the Go side is
measured against them and not against itself. The result is the same on every
run with the same versions of the libraries.
"""

import json
from pathlib import Path

import lightgbm as lgb
import numpy as np
from onnx import TensorProto, helper

from . import network

MODEL = Path(__file__).resolve().parents[2] / "sidecar" / "model"
COMMON = {
    "verbose": -1,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "seed": 1,
    "min_data_in_leaf": 5,
}


def points(rng, n, features):
    """Features as the encoders give them: small integers, -1 where missing."""
    x = rng.integers(0, 6, size=(n, features)).astype(np.float32)
    x[:, 0] += rng.random(n, dtype=np.float32)
    x[rng.random(x.shape) < 0.2] = -1
    return x


def golden(path, rows, probs):
    path.write_text(json.dumps({"rows": rows.tolist(), "probs": probs.tolist()}) + "\n")


def lightgbm_model(name, x, y, rows, rounds, params):
    columns = [f"c{i}" for i in range(x.shape[1])]
    data = lgb.Dataset(x, y, feature_name=columns)
    booster = lgb.train(COMMON | params, data, num_boost_round=rounds)
    probs = booster.predict(rows)
    if probs.ndim == 1:
        probs = np.stack([1 - probs, probs], axis=1)
    # The importances and parameters after the trees are no part of the model.
    text = booster.model_to_string()
    end = "end of trees\n"
    out = MODEL / "lightgbm" / "testdata"
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.txt").write_text(text[: text.index(end) + len(end)])
    golden(out / f"{name}.txt.golden.json", rows, probs.astype(np.float32))


def onnx_model(rng):
    net = network.Network(
        columns=["a", "b", "c", "d"],
        mean=rng.normal(size=4),
        scale=rng.random(4) + 0.5,
        weights=[rng.normal(size=(4, 5)), rng.normal(size=(5, 3))],
        biases=[rng.normal(size=5), rng.normal(size=3)],
    )
    out = MODEL / "onnx" / "testdata"
    out.mkdir(parents=True, exist_ok=True)
    (out / "mlp.onnx").write_bytes(network.export(net).SerializeToString())
    rows = points(rng, 12, 4)
    golden(out / "mlp.onnx.golden.json", rows, network.forward(net, rows).astype(np.float32))

    # Models that must be refused, each for what its name says.
    def forge(name, change):
        bad = network.export(net)
        change(bad)
        (out / f"bad-{name}.onnx").write_bytes(bad.SerializeToString())

    def type_of(value):
        return value.type.tensor_type

    def batch_of_one(bad):
        type_of(bad.graph.input[0]).shape.dim[0].dim_value = 1
        type_of(bad.graph.output[0]).shape.dim[0].dim_value = 1

    def any_width(bad):
        type_of(bad.graph.input[0]).shape.dim[1].dim_param = "width"

    def no_softmax(bad):
        del bad.graph.node[-1]
        bad.graph.node[-1].output[0] = "probabilities"

    def output_name(bad):
        bad.graph.node[-1].output[0] = bad.graph.output[0].name = "scores"

    def two_outputs(bad):
        extra = bad.graph.output.add()
        extra.CopyFrom(bad.graph.output[0])
        extra.name = "logits"

    def doubles(bad):
        type_of(bad.graph.input[0]).elem_type = TensorProto.DOUBLE
        for node in bad.graph.node[:2]:
            node.input[0] = "single"
        bad.graph.node.insert(0, helper.make_node("Cast", ["input"], ["single"], to=TensorProto.FLOAT))

    def columns_short(bad):
        bad.metadata_props[0].value = "a\nb\nc"

    def columns_twice(bad):
        bad.metadata_props[0].value = "a\nb\nc\na"

    def external(bad):
        tensor = max(bad.graph.initializer, key=lambda tensor: len(tensor.raw_data))
        size = len(tensor.raw_data)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in {"location": "weights.bin", "offset": "0", "length": str(size)}.items():
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value

    forge("external", external)
    forge("nameless", lambda bad: bad.metadata_props.pop())
    forge("batch-of-one", batch_of_one)
    forge("any-width", any_width)
    forge("no-softmax", no_softmax)
    forge("output-name", output_name)
    forge("two-outputs", two_outputs)
    forge("doubles", doubles)
    forge("columns-short", columns_short)
    forge("columns-twice", columns_twice)


def main():
    rng = np.random.default_rng(7)
    x = points(rng, 600, 6)
    rows = points(rng, 24, 6)
    y = ((x[:, 0] > 2).astype(int) + (x[:, 3] * x[:, 1] > 4)).astype(int)
    multiclass = {"objective": "multiclass", "num_class": 3, "num_leaves": 6}
    lightgbm_model("multiclass", x, y, rows, 4, multiclass)
    lightgbm_model("dart", x, y, rows, 3, multiclass | {"boosting": "dart", "drop_rate": 0.9})
    # Too few rows for any split: every tree is one leaf.
    lightgbm_model("constant", x, y, rows, 2, multiclass | {"min_data_in_leaf": 1000})
    lightgbm_model("zero", x, y, rows, 2, multiclass | {"zero_as_missing": True})
    binary = {"objective": "binary", "num_leaves": 7}
    lightgbm_model("binary", x, y > 0, rows, 5, binary)
    lightgbm_model("onecolumn", x[:, :1], y > 0, rows[:, :1], 3, binary)
    onnx_model(rng)


if __name__ == "__main__":
    main()
