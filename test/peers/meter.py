"""Peer (b): nfstream, with a model in its plugin.

It reads a capture, finds flows, and asks LightGBM about each at its tenth packet
or when it expires, by what nfstream itself tells of a flow. The model is trained
on that, with as many rounds and leaves as the bundle's slow model. Not counted:
starting, which is measured with a capture of one flow, and packets past the
tenth, which are not in the capture.
"""

import argparse
import json
import multiprocessing
from pathlib import Path

import lightgbm as lgb
import numpy as np
from nfstream import NFPlugin, NFStreamer

import flows
import measure
import predictor

PACKETS = 10
EPHEMERAL = 32768
# As models/train/learn.py boosts.
BOOSTING = {
    "objective": "multiclass",
    "learning_rate": 0.1,
    "lambda_l2": 1.0,
    "feature_fraction": 0.3,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "max_bin": 63,
    "min_data_in_leaf": 20,
    "seed": 1,
    "deterministic": True,
    "num_threads": 1,
    "verbose": -1,
}


def row(flow):
    """What nfstream tells of a flow so far."""
    sizes = [d if d < 0 else size * (1 - 2 * d) for d, size in zip(flow.splt_direction, flow.splt_ps)]
    return [
        flow.protocol,
        flow.dst_port if flow.dst_port < EPHEMERAL else -1,
        flow.bidirectional_duration_ms,
        flow.bidirectional_packets,
        flow.bidirectional_bytes,
        flow.src2dst_duration_ms,
        flow.src2dst_packets,
        flow.src2dst_bytes,
        flow.dst2src_duration_ms,
        flow.dst2src_packets,
        flow.dst2src_bytes,
        *flow.splt_direction,
        *sizes,
        *flow.splt_piat_ms,
    ]


class Asking(NFPlugin):
    """Calls ask(row), once a flow, and keeps what it says."""

    def on_init(self, packet, flow):
        flow.udps.answer = None

    def on_update(self, packet, flow):
        if flow.bidirectional_packets == PACKETS:
            flow.udps.answer = self.ask(row(flow))

    def on_expire(self, flow):
        if flow.udps.answer is None:
            flow.udps.answer = self.ask(row(flow))


class Label:
    """Gives the most probable class, as a number."""

    def __init__(self, path):
        self.predict = predictor.SingleRow(path)

    def __call__(self, values):
        return int(self.predict(values).argmax())


def stream(path, ask):
    """Flows of a capture, each when it expires: its answer and when it began, in ms."""
    streamer = NFStreamer(
        source=str(path),
        n_meters=1,
        n_dissections=0,
        statistical_analysis=False,
        splt_analysis=PACKETS,
        accounting_mode=1,  # bytes from the IP header on
        udps=Asking(ask=ask),
    )
    for flow in streamer:
        yield flow.udps.answer, flow.bidirectional_first_seen_ms
    for child in multiprocessing.active_children():
        child.join()  # so that its CPU time counts


def train(known, slow, capture, model):
    """Trains a model on flows, as nfstream tells of them."""
    names = flows.write_capture(capture, known)
    truth = {f.capture: f.truth for f in known}
    rows, labels = [], []
    for values, ms in stream(capture, list):
        rows.append(values)
        labels.append(truth[flows.capture_of(names, ms)])
    classes = sorted(set(labels))
    shape = lgb.Booster(model_file=slow)
    rounds = shape.num_trees() // shape.num_model_per_iteration()
    leaves = max(tree["num_leaves"] for tree in shape.dump_model()["tree_info"])
    data = lgb.Dataset(np.array(rows, np.float32), [classes.index(c) for c in labels])
    lgb.train(BOOSTING | {"num_class": len(classes), "num_leaves": leaves}, data, rounds).save_model(model)
    return classes


def label(offered, classes, copies, capture, model):
    """Labels flows, and tells what that took."""
    ask = Label(model)
    flows.write_capture(capture, offered[:1])
    start = measure.cpu()
    list(stream(capture, ask))
    starting = measure.cpu() - start
    names = flows.write_capture(capture, offered, copies)
    start = measure.cpu()
    answers = list(stream(capture, ask))
    used = measure.cpu() - start - starting
    truth = {f.capture: f.truth for f in offered}
    labels = [classes[answer] for answer, _ in answers]
    measure.tell(len(answers), used, labels=labels, truth=[truth[flows.capture_of(names, ms)] for _, ms in answers])


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("what", choices=["train", "label"])
    a.add_argument("--flows", required=True, help="what compare.py recorded")
    a.add_argument("--dir", required=True, help="for a capture and the model")
    a.add_argument("--slow", help="the bundle's slow model, to train one like it")
    a.add_argument("--copies", type=int, default=1, help="how often the flows come")
    o = a.parse_args()
    capture, model, classes = (f"{o.dir}/nfstream.{ending}" for ending in ("pcap", "txt", "json"))
    known = flows.load(o.flows)
    if o.what == "train":
        Path(classes).write_text(json.dumps(train(known, o.slow, capture, model)))
    else:
        label(known, json.loads(Path(classes).read_text()), o.copies, capture, model)


if __name__ == "__main__":
    main()
