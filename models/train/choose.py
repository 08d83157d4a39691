"""Chooses the stages and thresholds of a cascade on calibration flows."""

from dataclasses import dataclass
from itertools import product

import numpy as np

import calibrate
from calibrate import Stage


WORTHWHILE = 0.01  # share of flows


@dataclass
class Candidate:
    """A model that could be a stage: its text and what it says of every flow."""

    name: str
    packets: int
    text: str
    probs: np.ndarray
    about: str  # how it was trained, for the datasheet


@dataclass
class Cascade:
    models: list  # of Candidate
    stages: list  # of calibrate.Stage, with probs of calibration flows
    error: float  # the laxest target error of a stage
    macro: float  # on calibration
    settled: tuple  # shares of flows by stage, on calibration


def slow(candidates, y, rows):
    """The candidate with the best macro F1, each with its best abstaining."""

    def score(c):
        probs = c.probs[rows]
        return calibrate.f1(y[rows], _say(probs, calibrate.abstain(probs, y[rows])), probs.shape[1])

    return max(candidates, key=score)


def _say(probs, threshold):
    return np.where(probs.max(1) >= threshold, probs.argmax(1), calibrate.UNKNOWN)


def cascade(fast, few, last, y, packets, rows, errors, delta, loss):
    """A cascade of one of the fast models, one of the few-packet models and the
    last: the one that settles most flows at the first stage and then at the
    second, while macro F1 stays within loss of the last stage alone.

    errors are the target errors that a stage may have.
    """
    truth, packets = y[rows], packets[rows]
    probs = last.probs[rows]
    abstain = calibrate.abstain(probs, truth)
    end = Stage(last.packets, probs, "max_probability", np.full(probs.shape[1], abstain))
    alone = calibrate.f1(truth, calibrate.run([end], packets).said, probs.shape[1])

    def best(before, candidates, floor):
        """The stage that settles most of what the stages before leave open."""
        found = ((-1.0, 0.0),)
        reached = np.ones(len(rows), bool)
        if before:
            reached = calibrate.run(before + [end], packets).stage == len(before)
        for c, measure, per_class, error in product(candidates, calibrate.MEASURES, (True, False), errors):
            seen = reached & (packets >= c.packets)
            t = calibrate.thresholds(c.probs[rows][seen], truth[seen], measure, per_class, error, delta)
            stage = Stage(c.packets, c.probs[rows], measure, t)
            out = calibrate.within([*before, stage, end], len(before), packets, truth, floor)
            if out is not None:
                found = max(found, ((out.share(len(before)), -error), c, stage, error), key=lambda f: f[0])
        return found[1:]

    # A quarter of the loss is kept for the second stage.
    first, stage1, error1 = best([], fast, alone - 0.75 * loss)
    second, stage2, error2 = best([stage1], few, alone - loss)
    all_ = [(first, stage1, error1), (second, stage2, error2), (last, end, 0.0)]
    out = calibrate.run([stage for _, stage, _ in all_], packets)
    # A stage that settles next to nothing is not worth its computation.
    kept = [parts for i, parts in enumerate(all_) if parts[0] is last or out.share(i) >= WORTHWHILE]
    models, stages, errors = zip(*kept)
    out = calibrate.run(stages, packets)
    return Cascade(
        models=models,
        stages=stages,
        error=max(errors),
        macro=calibrate.f1(truth, out.said, probs.shape[1]),
        settled=tuple(out.share(i) for i in range(len(stages))),
    )
