"""Writes the files of a bundle."""

import hashlib
import json

import lightgbm as lgb
import numpy as np

import lighttext
import network

GOLDEN_FLOWS = 19  # real flows, one of each class where there are so many
GOLDEN_EDGES = 13  # rows of values at the thresholds


class Writer:
    """Writes files into a directory and remembers their digests."""

    def __init__(self, directory, labels, rng):
        self.directory, self.labels, self.rng = directory, labels, rng
        self.digests = {}
        directory.mkdir(parents=True, exist_ok=True)

    def _write(self, name, data):
        (self.directory / name).write_bytes(data)
        self.digests[name] = "sha256:" + hashlib.sha256(data).hexdigest()

    def text(self, name, text):
        self._write(name, text.encode())

    def lightgbm(self, candidate, table):
        booster = lgb.Booster(model_str=candidate.text)
        rows = self._flows(table, booster.feature_name())
        parsed = lighttext.from_booster(booster)
        rows = np.concatenate([rows, lighttext.edges(parsed, self.rng, GOLDEN_EDGES)])
        self.text(candidate.name + ".txt", candidate.text)
        self._golden(candidate.name + ".txt", rows, booster.predict(rows))

    def onnx(self, name, net, table):
        rows = self._flows(table, net.columns)
        self._write(name, network.export(net).SerializeToString(deterministic=True))
        self._golden(name, rows, network.forward(net, rows))

    def _flows(self, table, names):
        """One training flow of each class, then others, in these columns."""
        train = table.rows("train")
        of_class = [self.rng.choice(train[table.y[train] == k]) for k in range(len(self.labels))]
        chosen = (of_class + list(self.rng.choice(train, GOLDEN_FLOWS)))[:GOLDEN_FLOWS]
        return table.x[np.ix_(chosen, [table.columns.index(n) for n in names])]

    def _golden(self, name, rows, probs):
        def numbers(matrix):
            return [[float(str(v)) for v in row] for row in np.asarray(matrix, np.float32)]

        golden = {"rows": numbers(rows), "probs": numbers(probs)}
        self.text(name + ".golden.json", json.dumps(golden, separators=(",", ":")) + "\n")

    def manifest(self, recipe, table, by_packet, by_meta, error, date):
        calibration = table.rows("calibration")
        score = by_packet.models[-1].probs[calibration].max(1)
        histogram = np.histogram(score, bins=10, range=(0, 1))[0] / len(score)
        lines = [
            f"name = {_toml(recipe['name'])}",
            f"version = {_toml(recipe['version'])}",
            f"task = {_toml(recipe['task'])}",
            f"labels = {_toml(table.labels)}",
            "",
            "[features]",
            f"packets = {table.about['packets']}",
            f"protocols = {_toml(table.protocols)}",
            f"quiet = {recipe['quiet']}",
            f"sections = {_toml(table.about['sections'])}",
            f"masks = {_toml(table.about['masks'])}",
        ]
        for kind, cascade in (("packet", by_packet), ("meta", by_meta)):
            for model, stage in zip(cascade.models, cascade.stages):
                values = [round(float(t), 7) for t in stage.thresholds]
                values = values[:1] if len(set(values)) == 1 else values
                lines += [
                    "",
                    f"[[{kind}.stage]]",
                    f"name = {_toml(model.name)}",
                    f"packets = {stage.packets}",
                    f"model = {_toml(model.name + '.txt')}",
                    'kind = "lightgbm"',
                    f"confidence = {_toml(stage.measure)}",
                    f"thresholds = {_toml(values)}",
                ]
        lines += [
            "",
            "[calibration]",
            f"sessions = {len(np.unique(table.session[calibration]))}",
            f"flows = {len(calibration)}",
            f"target_error = {error}",
            f"delta = {recipe['promise']['delta']}",
            "",
            "[reference]",
            f"score_histogram = {_toml([round(float(v), 5) for v in histogram])}",
            "",
            "[provenance]",
            *(f"{k} = {_toml(recipe['provenance'][k])}" for k in ("data", "licence", "citation")),
            f"trained = {_toml(date)}",
            'trainer = "models/train/train.py"',
            "",
            "[files]",
            *(f"{_toml(name)} = {_toml(digest)}" for name, digest in sorted(self.digests.items())),
        ]
        (self.directory / "manifest.toml").write_text("\n".join(lines) + "\n")


def _toml(value):
    """Strings, numbers and lists of them, as TOML and JSON write them alike."""
    return json.dumps(value, ensure_ascii=False)
