"""A small fully connected network as an ONNX graph.

The graph takes `input` float32[batch, width] and gives `probabilities`
float32[batch, classes]: standardisation, layers with ReLU between them, and a
softmax. The names of its columns, in order and joined by newlines, stand in
the metadata under `serveflow.columns`.
"""

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

COLUMNS_KEY = "serveflow.columns"
OPSET = 17
IR_VERSION = 8


def export(columns, mean, scale, weights, biases):
    """Returns the ONNX model; weights[i] has the shape (inputs, outputs)."""
    tensors = {"mean": mean, "scale": scale}
    nodes = [
        helper.make_node("Sub", ["input", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "scale"], ["layer0"]),
    ]
    for i, (weight, bias) in enumerate(zip(weights, biases)):
        tensors[f"weight{i}"], tensors[f"bias{i}"] = weight, bias
        last = i == len(weights) - 1
        out = "logits" if last else f"sum{i}"
        nodes.append(helper.make_node("Gemm", [f"layer{i}", f"weight{i}", f"bias{i}"], [out]))
        if not last:
            nodes.append(helper.make_node("Relu", [out], [f"layer{i + 1}"]))
    nodes.append(helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1))
    graph = helper.make_graph(
        nodes,
        "serveflow",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", len(columns)])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", len(biases[-1])])],
        [numpy_helper.from_array(np.asarray(v, np.float32), k) for k, v in tensors.items()],
    )
    model = helper.make_model(
        graph, producer_name="serveflow", ir_version=IR_VERSION, opset_imports=[helper.make_opsetid("", OPSET)]
    )
    helper.set_model_props(model, {COLUMNS_KEY: "\n".join(columns)})
    checker.check_model(model)
    return model


def forward(rows, mean, scale, weights, biases):
    """What the graph computes, in float64."""
    layer = (np.asarray(rows, np.float64) - mean) / scale
    for i, (weight, bias) in enumerate(zip(weights, biases)):
        layer = layer @ weight + bias
        if i < len(weights) - 1:
            layer = np.maximum(layer, 0)
    layer = np.exp(layer - layer.max(axis=1, keepdims=True))
    return layer / layer.sum(axis=1, keepdims=True)
