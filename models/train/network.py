"""A small fully connected network as an ONNX graph.

The graph takes `input` float32[batch, width] and gives `probabilities`
float32[batch, classes]: sign(x) * log(1 + |x|), for sizes range over five
powers of ten; standardisation; layers with ReLU between them; a softmax. The
names of its columns, in order and joined by newlines, stand in the metadata
under `serveflow.columns`.
"""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, checker, helper, numpy_helper

COLUMNS_KEY = "serveflow.columns"
OPSET = 17
IR_VERSION = 8


@dataclass
class Network:
    columns: list[str]
    mean: np.ndarray
    scale: np.ndarray
    weights: list[np.ndarray]  # weights[i] has the shape (inputs, outputs)
    biases: list[np.ndarray]


def squash(rows: np.ndarray) -> np.ndarray:
    rows = np.asarray(rows, np.float64)
    return np.sign(rows) * np.log1p(np.abs(rows))


def export(n: Network) -> onnx.ModelProto:
    """Returns the ONNX model."""
    tensors = {"mean": n.mean, "scale": n.scale, "one": [1.0]}
    nodes = [
        helper.make_node("Sign", ["input"], ["sign"]),
        helper.make_node("Abs", ["input"], ["size"]),
        helper.make_node("Add", ["size", "one"], ["above_one"]),
        helper.make_node("Log", ["above_one"], ["log"]),
        helper.make_node("Mul", ["sign", "log"], ["squashed"]),
        helper.make_node("Sub", ["squashed", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "scale"], ["layer0"]),
    ]
    for i, (weight, bias) in enumerate(zip(n.weights, n.biases)):
        tensors[f"weight{i}"], tensors[f"bias{i}"] = weight, bias
        last = i == len(n.weights) - 1
        out = "logits" if last else f"sum{i}"
        nodes.append(helper.make_node("Gemm", [f"layer{i}", f"weight{i}", f"bias{i}"], [out]))
        if not last:
            nodes.append(helper.make_node("Relu", [out], [f"layer{i + 1}"]))
    nodes.append(helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1))
    graph = helper.make_graph(
        nodes,
        "serveflow",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", len(n.columns)])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", len(n.biases[-1])])],
        [numpy_helper.from_array(np.asarray(v, np.float32), k) for k, v in tensors.items()],
    )
    model = helper.make_model(
        graph, producer_name="serveflow", ir_version=IR_VERSION, opset_imports=[helper.make_opsetid("", OPSET)]
    )
    helper.set_model_props(model, {COLUMNS_KEY: "\n".join(n.columns)})
    checker.check_model(model)
    return model


def load(data: bytes) -> Network:
    """The network in the bytes of a model that export made."""
    model = onnx.load_from_string(data)
    tensors = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    layers = sum(name.startswith("weight") for name in tensors)
    (columns,) = (p.value.split("\n") for p in model.metadata_props if p.key == COLUMNS_KEY)
    return Network(
        columns=columns,
        mean=tensors["mean"],
        scale=tensors["scale"],
        weights=[tensors[f"weight{i}"] for i in range(layers)],
        biases=[tensors[f"bias{i}"] for i in range(layers)],
    )


def forward(n: Network, rows: np.ndarray) -> np.ndarray:
    """What the graph computes, in float64."""
    layer = (squash(rows) - n.mean) / n.scale
    for i, (weight, bias) in enumerate(zip(n.weights, n.biases)):
        layer = layer @ weight + bias
        if i < len(n.weights) - 1:
            layer = np.maximum(layer, 0)
    layer = np.exp(layer - layer.max(axis=1, keepdims=True))
    return layer / layer.sum(axis=1, keepdims=True)
