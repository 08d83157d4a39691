"""Thresholds with a promise, and what a cascade does with them.

A stage takes its own word for a flow when its confidence reaches the
threshold of the class it names. Thresholds come from calibration flows: as low
as possible while, with confidence 1 - delta, the share of errors among
accepted flows is at most the target. The bound is Clopper and Pearson's (1934)
and takes flows as independent; flows of one session are not quite, so it is
somewhat too hopeful about sessions unlike those of the calibration.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import beta
from sklearn.metrics import f1_score

MEASURES = ("max_probability", "margin", "entropy")
NEVER = 2.0  # no confidence reaches it
UNKNOWN = -1


def upper_bound(errors, flows, delta):
    """The greatest error rate that `errors` of `flows` leaves likely (1 - delta)."""
    return 1.0 if errors >= flows else float(beta.ppf(1 - delta, errors + 1, flows - errors))


def lower_bound(errors, flows, delta):
    return 0.0 if errors == 0 else float(beta.ppf(delta, errors, flows - errors + 1))


def confidence(probs, measure):
    """Confidence of each row, as the sidecar computes it: float32 from float32."""
    probs = np.asarray(probs, np.float32)
    top = np.sort(probs, axis=1)
    if measure == "max_probability":
        return top[:, -1]
    if measure == "margin":
        return top[:, -1] - top[:, -2]
    p = probs.astype(np.float64)
    entropy = -np.sum(p * np.log(np.where(p > 0, p, 1)), axis=1)
    return (1 - entropy / np.log(p.shape[1])).astype(np.float32)


# Numbers of flows from which lowest begins to look for a threshold, in units of
# the fewest that could pass.
STARTS = (1, 3, 9, 27)


def lowest(conf, right, error, delta):
    """The lowest threshold whose accepted flows keep the promise.

    From each start, thresholds are tried downwards and the first that fails
    ends the search: so the promise holds for the one chosen although many
    were tried (fixed sequence testing). Each start has its part of delta;
    with one alone, an early error of an overconfident model would end it all.
    """
    if len(conf) == 0:
        return NEVER
    order = np.argsort(-conf, kind="stable")
    conf, wrong = conf[order].astype(np.float64), np.cumsum(~right[order])
    part = delta / len(STARTS)
    fewest = int(np.ceil(np.log(part) / np.log(1 - error)))
    chosen = 0  # flows accepted
    for start in STARTS:
        n = start * fewest
        while n <= len(conf):
            # Equal confidences are accepted or refused together.
            n = int(np.searchsorted(-conf, -conf[n - 1], side="right"))
            if upper_bound(wrong[n - 1], n, part) > error:
                break
            chosen = max(chosen, n)
            n = len(conf) if n < len(conf) < int(n * 1.05) else max(n + 1, int(n * 1.05))
    if chosen == 0:
        return NEVER
    # Midway to the next flow, so that the last bit does not decide.
    below = conf[chosen] if chosen < len(conf) else conf[chosen - 1] - 1e-3
    return (conf[chosen - 1] + below) / 2


def thresholds(probs, y, measure, per_class, error, delta):
    """A threshold for each class, from the flows that reach the stage.

    With per_class each class keeps the promise by itself; without, all
    accepted flows together do, with one threshold. Even then a class is not
    accepted that no accepted flow gives evidence of, or whose own errors are
    surely (1 - delta) above the target.
    """
    classes = probs.shape[1]
    conf, said = confidence(probs, measure), probs.argmax(1)
    right = said == y
    if per_class:
        return np.array([lowest(conf[said == k], right[said == k], error, delta) for k in range(classes)])
    allowed = np.ones(classes, bool)
    while True:
        one = allowed[said]
        t = lowest(conf[one], right[one], error, delta)
        taken = one & (conf >= t)
        flows = np.bincount(said[taken], minlength=classes)
        wrong = np.bincount(said[taken & ~right], minlength=classes)
        bad = [k for k in range(classes) if flows[k] and lower_bound(wrong[k], flows[k], delta) > error]
        if not bad:
            return np.where(flows > 0, t, NEVER)
        allowed[bad] = False


@dataclass
class Stage:
    """A stage and what its model says of each flow of a split."""

    packets: int
    probs: np.ndarray
    measure: str
    thresholds: np.ndarray

    def accepted(self):
        return confidence(self.probs, self.measure) >= self.thresholds[self.probs.argmax(1)]


@dataclass
class Outcome:
    said: np.ndarray  # class or UNKNOWN
    stage: np.ndarray  # which stage said it

    def share(self, stage):
        return float((self.stage == stage).mean())


def run(stages, packets):
    """What the cascade says of flows that have so many packets.

    A flow that ends before the packets of the next stage is decided by the
    last one, on what there is.
    """
    last = len(stages) - 1
    said = np.full(len(packets), UNKNOWN)
    stage = np.full(len(packets), last)
    open_ = np.ones(len(packets), bool)
    for i, s in enumerate(stages):
        taken = open_ & s.accepted()
        if i < last:
            taken &= packets >= s.packets
        said[taken] = s.probs.argmax(1)[taken]
        stage[taken] = i
        open_ &= ~taken
    return Outcome(said, stage)


def f1(y, said, classes, average="macro"):
    """F1 over all flows; unknown counts as wrong. Without an average, of each class."""
    score = f1_score(y, said, labels=range(classes), average=average, zero_division=0)
    return score if average is None else float(score)


def abstain(probs, y):
    """The threshold of the last stage with the best macro F1."""
    best, chosen = -1.0, 0.0
    for t in np.arange(0, 0.61, 0.05):
        said = np.where(probs.max(1) >= t, probs.argmax(1), UNKNOWN)
        score = f1(y, said, probs.shape[1])
        if score > best + 1e-4:
            best, chosen = score, float(t)
    return round(chosen, 2)


def within(stages, at, packets, y, floor):
    """Withdraws classes from stage number `at` until macro F1 reaches floor.

    The class goes first that costs most per flow it settles. Returns the
    outcome, or None where that does not help.
    """
    classes = stages[at].probs.shape[1]
    while True:
        now = run(stages, packets)
        score = f1(y, now.said, classes)
        if score >= floor:
            return now
        stage, best = stages[at].thresholds, (0.0, None)
        for k in np.unique(now.said[now.stage == at]):
            stages[at].thresholds = np.where(np.arange(classes) == k, NEVER, stage)
            gain = f1(y, run(stages, packets).said, classes) - score
            best = max(best, (gain / np.sum((now.stage == at) & (now.said == k)), int(k)), key=lambda b: b[0])
        if best[1] is None:
            stages[at].thresholds = stage
            return None
        stages[at].thresholds = np.where(np.arange(classes) == best[1], NEVER, stage)
