"""Measures cascades and writes the datasheet of a bundle."""

from dataclasses import dataclass

import numpy as np

import calibrate

SPLITS = ("calibration", "test")


@dataclass
class Verdicts:
    """How good verdicts are. F1 is over all flows, unknown counts as wrong."""

    macro: float
    weighted: float
    coverage: float  # share of flows that get a label
    covered: float  # macro F1 over those alone
    by_class: list


@dataclass
class StageFigures:
    name: str
    packets: int
    measure: str
    about: str
    size: int
    alone: dict  # split -> Verdicts of its model on every flow, none refused
    share: dict  # split -> share of flows it settles
    error: dict  # split -> share of errors among those


@dataclass
class CascadeFigures:
    stages: list
    whole: dict  # split -> Verdicts
    slow: dict  # the last stage alone
    long_whole: dict  # the same over flows that have the packets of the last stage
    long_slow: dict
    flows: dict


@dataclass
class Figures:
    packet: CascadeFigures
    meta: CascadeFigures
    net: dict
    net_about: str
    error: float


def verdicts(y, said, classes):
    covered = said != calibrate.UNKNOWN
    return Verdicts(
        macro=calibrate.f1(y, said, classes),
        weighted=calibrate.f1(y, said, classes, "weighted"),
        coverage=float(covered.mean()),
        covered=calibrate.f1(y[covered], said[covered], classes),
        by_class=[float(v) for v in calibrate.f1(y, said, classes, None)],
    )


def of_probs(probs, table):
    """The verdicts of a model that refuses nothing."""
    return {s: verdicts(table.y[r], probs[r].argmax(1), len(table.labels)) for s, r in _rows(table)}


def _rows(table):
    return [(s, table.rows(s)) for s in SPLITS]


def of_cascade(cascade, table):
    classes = len(table.labels)
    figures = CascadeFigures([], {}, {}, {}, {}, {})
    for model, stage in zip(cascade.models, cascade.stages):
        figures.stages.append(
            StageFigures(
                model.name,
                stage.packets,
                stage.measure,
                model.about,
                len(model.text),
                of_probs(model.probs, table),
                {},
                {},
            )
        )
    for split, rows in _rows(table):
        y, packets = table.y[rows], table.packets[rows]
        stages = [
            calibrate.Stage(s.packets, m.probs[rows], s.measure, s.thresholds)
            for m, s in zip(cascade.models, cascade.stages)
        ]
        out, alone = calibrate.run(stages, packets), calibrate.run(stages[-1:], packets)
        full = packets >= stages[-1].packets
        figures.flows[split] = len(rows), int(full.sum()), len(np.unique(table.session[rows]))
        figures.whole[split] = verdicts(y, out.said, classes)
        figures.slow[split] = verdicts(y, alone.said, classes)
        figures.long_whole[split] = verdicts(y[full], out.said[full], classes)
        figures.long_slow[split] = verdicts(y[full], alone.said[full], classes)
        for i, s in enumerate(figures.stages):
            of_stage = out.stage == i
            labelled = of_stage & (out.said != calibrate.UNKNOWN)
            s.share[split] = float(of_stage.mean())
            s.error[split] = float((out.said != y)[labelled].mean()) if labelled.any() else 0.0
    return figures


def datasheet(recipe, table, figures):
    text, provenance = recipe["text"], recipe["provenance"]
    classes = len(table.labels)
    size = [(s, len(r), len(np.unique(table.session[r]))) for s, r in ((s, table.rows(s)) for s in ("train", *SPLITS))]
    lines = [
        f"# {recipe['name']} {recipe['version']}",
        "",
        f"{recipe['task'][0].upper()}{recipe['task'][1:]}. Written by `models/train/train.py`; every figure below was measured by it.",
        "",
        "## What it is for",
        text["use"].strip(),
        "",
        "## What it must not be used for, and where it fails",
        text["limits"].strip(),
        "",
        "## Data",
        text["data"].strip(),
        "",
        f"- Source: {provenance['data']}.",
        f"- Licence: {provenance['licence']}.",
        f"- To cite: {provenance['citation']}.",
        "",
        *_table(["split", "sessions", "flows"], [[s, str(n), str(f)] for s, f, n in size]),
        "",
        f"Flows are Zeek's, of {' and '.join(p.upper() for p in table.protocols)}; the models know no others, and the sidecar leaves those unserved.",
        "They count in none of the figures below. Most flows are short: a flow of fewer packets than a stage wants goes to the last stage when it",
        f"ends or has been quiet for {recipe['quiet']} s, and is part of the training of every stage as it then is.",
        "",
        "## Models",
        "",
        "Trained on the training sessions, chosen on the calibration sessions, measured on the test sessions. No model,",
        "setting or threshold was chosen on test; the quiet time was settled with test figures in view. A session gives at most 200 flows to training, and flows weigh less the larger their class is (power: how much).",
        "",
    ]
    for title, c in (("Cascade for taps that send headers", figures.packet), ("Cascade for taps that do not (META)", figures.meta)):
        lines += [f"### {title}", "", *_stages(c), "", *_cascade(c), ""]
    lines += [
        f"Accepted means: with confidence {1 - recipe['promise']['delta']:.0%}, at most {figures.error:.0%} of the flows that a",
        "stage settles are wrong, by Clopper and Pearson's bound on the calibration flows that reach the stage, taken as",
        "independent. Thresholds above 1 stand for classes whose calibration flows do not bear that out: their flows go on to",
        "the next stage. Below the threshold of the last stage the verdict is `unknown`.",
        "",
        "### Network as an alternative last stage",
        "",
        f"`net10.onnx` ({figures.net_about}) sees the columns of `{figures.packet.stages[-1].name}.txt`. No cascade uses it.",
        "",
        *_table(
            ["split", "macro F1", "weighted F1"],
            [[s, _f(figures.net[s].macro), _f(figures.net[s].weighted)] for s in SPLITS],
        ),
        "",
        "## F1 by family, test",
        "",
        "With headers; flows that the verdict `unknown` is given to count as wrong.",
        "",
    ]
    test = table.rows("test")
    count = np.bincount(table.y[test], minlength=classes)
    lines += _table(
        ["family", "flows", "cascade", "slow stage alone", "network"],
        [
            [
                label,
                str(count[k]),
                *(_f(v.by_class[k]) for v in (figures.packet.whole["test"], figures.packet.slow["test"], figures.net["test"])),
            ]
            for k, label in enumerate(table.labels)
        ],
    )
    return "\n".join(lines) + "\n"


def _stages(c):
    rows = []
    for s in c.stages:
        for split in SPLITS:
            first = split == SPLITS[0]
            rows.append(
                [
                    s.name if first else "",
                    str(s.packets) if first else "",
                    s.measure if first else "",
                    split,
                    _f(s.alone[split].macro),
                    _f(s.alone[split].weighted),
                    f"{s.share[split]:.1%}",
                    f"{s.error[split]:.1%}",
                ]
            )
    made = [f"- `{s.name}.txt`: {s.about}; {s.size >> 10} KiB" for s in c.stages]
    head = ["stage", "packets", "confidence", "split", "macro F1", "weighted F1", "settles", "errors among these"]
    return [*_table(head, rows), "", "F1 here is that of the model on every flow, on as many packets as it has.", "", *made]


def _cascade(c):
    rows = []
    for split in SPLITS:
        flows, full, sessions = c.flows[split]
        for name, n, v in (
            ("cascade", flows, c.whole[split]),
            ("slow stage alone", flows, c.slow[split]),
            ("cascade, long flows", full, c.long_whole[split]),
            ("slow stage alone, long flows", full, c.long_slow[split]),
        ):
            rows.append([split, name, str(n), _f(v.macro), _f(v.weighted), f"{v.coverage:.1%}", _f(v.covered)])
    head = ["split", "", "flows", "macro F1", "weighted F1", "coverage", "macro F1 of covered"]
    return [*_table(head, rows), "", f"Long flows have at least {c.stages[-1].packets} packets."]


def _f(value):
    return f"{value:.3f}"


def _table(head, rows):
    """A Markdown table."""
    return [
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
        *("| " + " | ".join(row) + " |" for row in rows),
    ]
