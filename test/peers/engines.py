"""Peer (c): other evaluators of the slow model, on rows that are ready.

Not counted: making the features, compiling, and what an evaluator wants rows to
be wrapped in. Each takes one row at a time, or 64.
"""

import argparse
import re
from pathlib import Path

import lightgbm as lgb
import numpy as np

import measure
import predictor


def portable(text):
    """A LightGBM text, as others read it and with the same meaning.

    They compare in float32, so that thresholds have to be float32 numbers: the
    greatest that is not above. One of them wants a line that LightGBM for
    Python writes at the end.
    """

    def floors(match):
        return "threshold=" + " ".join(repr(floor32(float(v))) for v in match.group(1).split())

    head, rest = text.split("\nTree=", 1)
    trees, _ = ("\nTree=" + rest).split("\nend of trees")
    trees = [re.sub(r"^threshold=(.*)$", floors, t, flags=re.MULTILINE) for t in re.split(r"\n(?=Tree=)", trees)[1:]]
    sizes = " ".join(str(len(t) + 1) for t in trees)
    head = re.sub(r"^tree_sizes=.*$", "tree_sizes=" + sizes, head, flags=re.MULTILINE)
    return head + "\n" + "\n".join(trees) + "\nend of trees\n\npandas_categorical:null\n"


def floor32(threshold):
    nearest = np.float32(threshold)
    return float(nearest if float(nearest) <= threshold else np.nextafter(nearest, np.float32(-np.inf)))


class Engine:
    """One evaluator. predict gives the probabilities of rows that wrap has wrapped."""

    single = False  # whether it takes one row at a time alone
    preparing = ""  # what to know of that

    def wrap(self, rows):
        return rows


class LightGBM(Engine):
    """Booster.predict."""

    def __init__(self, model):
        self.booster = lgb.Booster(model_file=str(model))

    def predict(self, rows):
        return self.booster.predict(rows, num_threads=1)


class LightGBMSingleRow(Engine):
    """The C interface for single rows."""

    single = True

    def __init__(self, model):
        self.predictor = predictor.SingleRow(model)

    def predict(self, rows):
        return self.predictor(rows[0])


class ONNXRuntime(Engine):
    def __init__(self, model):
        import onnxruntime

        converted = Path(f"{model}.onnx")
        if not converted.exists():
            import onnxmltools
            from onnxmltools.convert.common.data_types import FloatTensorType

            booster = lgb.Booster(model_file=str(model))
            kinds = [("rows", FloatTensorType([None, booster.num_feature()]))]
            network = onnxmltools.convert_lightgbm(booster, initial_types=kinds, zipmap=False)
            converted.write_bytes(network.SerializeToString())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(converted), options, providers=["CPUExecutionProvider"])

    def wrap(self, rows):
        return {"rows": rows}

    def predict(self, rows):
        return self.session.run(["probabilities"], rows)[0]


class Treelite(Engine):
    """Compiled to C by tl2cgen, and by gcc."""

    def __init__(self, model):
        import tl2cgen

        library = Path(f"{model}.treelite.so")
        if not library.exists():
            import treelite

            trees = treelite.frontend.load_lightgbm_model(str(model))
            tl2cgen.export_lib(trees, toolchain="gcc", libpath=str(library), params={"parallel_comp": 32})
        self.matrix = tl2cgen.DMatrix
        self.predictor = tl2cgen.Predictor(str(library), nthread=1)

    def wrap(self, rows):
        return self.matrix(rows)

    def predict(self, rows):
        return np.squeeze(self.predictor.predict(rows), axis=1)


class Lleaves(Engine):
    """Compiled by LLVM."""

    preparing = ": the first time, a large model takes minutes"

    def __init__(self, model):
        import lleaves

        self.model = lleaves.Model(model_file=str(model))
        self.model.compile(cache=f"{model}.lleaves")

    def predict(self, rows):
        return self.model.predict(rows, n_jobs=1)


ENGINES = {
    "lightgbm": LightGBM,
    "lightgbm-single-row": LightGBMSingleRow,
    "onnxruntime": ONNXRuntime,
    "treelite": Treelite,
    "lleaves": Lleaves,
}


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("engine", choices=ENGINES)
    a.add_argument("--model", required=True, help="portable text of the model")
    a.add_argument("--rows", help="float32, one row after the other; without, the model is compiled and no more")
    a.add_argument("--batch", type=int, default=1)
    a.add_argument("--probs", help="write float32 here")
    a.add_argument("--seconds", type=float, default=3, help="of CPU time")
    o = a.parse_args()
    engine = ENGINES[o.engine](o.model)
    if o.rows is None:
        return
    width = lgb.Booster(model_file=o.model).num_feature()
    rows = np.fromfile(o.rows, np.float32).reshape(-1, width)
    batches = [engine.wrap(rows[i : i + o.batch]) for i in range(0, len(rows), o.batch)]
    probs = [np.array(engine.predict(batch), np.float32) for batch in batches]
    np.concatenate(probs, axis=None).tofile(o.probs)

    def work():
        for batch in batches:
            engine.predict(batch)
        return len(rows)

    measure.tell(*measure.repeat(work, o.seconds))


if __name__ == "__main__":
    main()
