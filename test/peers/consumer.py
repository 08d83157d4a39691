"""Peer (a): a queue consumer in Python, after the paper.

It takes flows from a queue in memory, makes nPrint-like features in numpy and
asks LightGBM, one flow at a time: the bundle's cascade, or its last stage
about every flow. Not counted: capturing, finding flows, the queue, reading
packets into memory, and sending the labels.
"""

import argparse

import bundle
import features
import flows
import measure
import predictor


class Consumer:
    def __init__(self, b, slow):
        self.labels = b.labels
        self.stages = [
            (s.packets, features.Encoder(s.columns), predictor.SingleRow(s.path), s.thresholds)
            for s in (b.stages[-1:] if slow else b.stages)
        ]

    def label(self, packets):
        """The label of a flow, which has ended or has as many packets as any stage wants."""
        for wants, encoder, predict, thresholds in self.stages[:-1]:
            if len(packets) < wants:
                break
            if features.silent(packets[:wants]):
                continue
            probs = predict(encoder.row(packets[:wants]))
            best = probs.argmax()
            if probs[best] >= thresholds[best]:
                return self.labels[best]
        wants, encoder, predict, thresholds = self.stages[-1]
        if len(packets) < wants and features.silent(packets):
            return "unknown"
        probs = predict(encoder.row(packets))
        best = probs.argmax()
        return self.labels[best] if probs[best] >= thresholds[best] else "unknown"


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--bundle", required=True)
    a.add_argument("--flows", required=True, help="what compare.py recorded")
    a.add_argument("--slow", action="store_true", help="ask the last stage about every flow")
    a.add_argument("--seconds", type=float, default=3, help="of CPU time")
    o = a.parse_args()
    b = bundle.read(o.bundle)
    consumer = Consumer(b, o.slow)
    queue = [flows.before_quiet(flow.packets, b.quiet) for flow in flows.load(o.flows)]
    labels = [consumer.label(packets) for packets in queue]

    def work():
        for packets in queue:
            consumer.label(packets)
        return len(queue)

    measure.tell(*measure.repeat(work, o.seconds), labels=labels)


if __name__ == "__main__":
    main()
