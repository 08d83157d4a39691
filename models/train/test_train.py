"""Tests of the parts of training that a bundle's promises rest on.

    .venv/bin/python -m unittest discover -s models/train
"""

import json
import tempfile
import unittest
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.tree import DecisionTreeClassifier

import calibrate
import lighttext
import table


def sample(seed=1, n=800):
    rng = np.random.default_rng(seed)
    x = rng.integers(-1, 9, size=(n, 8)).astype(np.float32)
    x[:, 5] = np.log2(1 + rng.integers(0, 10**6, n)).astype(np.float32)
    x[:, 7] = 3  # constant: no tree can use it
    y = (x[:, 1] > 3).astype(int) + ((x[:, 5] > 15) & (x[:, 2] < 4))
    return x, y


class Text(unittest.TestCase):
    def test_booster_keeps_its_ways(self):
        x, y = sample()
        params = {"objective": "multiclass", "num_class": 3, "verbose": -1, "num_threads": 1, "min_data_in_leaf": 5}
        booster = lgb.train(params, lgb.Dataset(x, y, feature_name=[f"c{i}" for i in range(8)]), 5)
        text = lighttext.write(lighttext.from_booster(booster))
        again = lgb.Booster(model_str=text)
        used = again.feature_name()
        self.assertNotIn("c7", used)
        columns = [int(name[1:]) for name in used]
        probe = np.concatenate([x, sample(2)[0]])
        np.testing.assert_array_equal(
            booster.predict(probe, pred_leaf=True), again.predict(probe[:, columns], pred_leaf=True)
        )
        np.testing.assert_allclose(booster.predict(probe), again.predict(probe[:, columns]), atol=1e-6)

    def test_tree(self):
        x, y = sample()
        fitted = DecisionTreeClassifier(max_depth=6, random_state=0).fit(x, y)
        probs = fitted.tree_.value[:, 0, :]
        names = [f"c{i}" for i in range(8)]
        text = lighttext.write(lighttext.from_tree(fitted.tree_, probs, names, ["[-1:9]"] * 8))
        again = lgb.Booster(model_str=text)
        columns = [int(name[1:]) for name in again.feature_name()]
        probe = np.concatenate([x, sample(2)[0]])
        np.testing.assert_allclose(again.predict(probe[:, columns]), fitted.predict_proba(probe), atol=1e-6)

    def test_shortest(self):
        for threshold in (1.5000000000000002, 0.1, 1e-35, -0.5, 65535.5, -65536.0, 13.287712, 1.0000000180025095e-35):
            text = lighttext.shortest(threshold)
            low = np.float32(lighttext.floor32(threshold))
            around = [low, np.nextafter(low, np.float32(np.inf)), np.nextafter(low, np.float32(-np.inf))]
            for v in around:
                self.assertEqual(float(v) <= threshold, float(v) <= float(text), (threshold, text))
        self.assertEqual(lighttext.shortest(1.5000000000000002), "1.5")

    def test_edges_stand_at_the_thresholds(self):
        e = lighttext.Ensemble(["a", "b"], ["none"] * 2, 2, [lighttext.Tree([1], [0.1], [-1], [-2], [0.0, 1.0])])
        rows = lighttext.edges(e, np.random.default_rng(0), 50)
        self.assertEqual(rows.shape, (50, 1))
        self.assertEqual({bool(v <= 0.1) for v in rows[rows != -1].astype(float)}, {True, False})


class Flows(unittest.TestCase):
    def test_read(self):
        """The third flow is quiet after its second packet, the fourth is ICMP."""
        columns = {
            "file": ["a", "b", "c", "d", "e"],
            "split": ["train", "train", "calibration", "train", "test"],
            "label": ["x", "y", "x", "y", "y"],
            "flow": [1, 1, 1, 1, 1],
            "start_us": [0] * 5,
            "packets": [3, 1, 9, 3, 2],
            "wait_1": [0] * 5,
            "wait_2": [5, -1, 5, 5, 9_999_999],
            "wait_3": [6, -1, 10_000_005, 6, -1],
            "proto": np.float32([6, 17, 6, 1, 17]),
            "p1_payload": np.float32([1, 2, 3, 4, 5]),
            "first1_duration": np.float32([0.5, 1.5, 2.5, 3.5, 4.5]),
            "p2_ipv4_ttl_0": pa.array([1, -1, 1, 1, 0], pa.int8()),
            "p1_tcp_psh_0": pa.array([0, 0, 0, 1, 1], pa.int8()),  # constant in TCP and UDP training
            "first2_duration": np.float32([10, 1.5, 20, 30, 40]),
            "p3_payload": np.float32([7, -65536, 70, 8, -65536]),
            "p3_dir": np.float32([1, -1, 0, 1, -1]),
            "first3_duration": np.float32([11, 1.5, 21, 31, 40]),
        }
        schema = pa.table(columns).replace_schema_metadata(
            {"serveflow.features": json.dumps({"packets": 3, "events": "packet"})}
        )
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "flows.parquet"
            pq.write_table(schema, path)
            t = table.read(path, ["tcp", "udp"], 10)
        self.assertEqual(t.labels, ["x", "y"])
        self.assertEqual(t.session.tolist(), ["a", "b", "c", "e"])
        self.assertEqual(t.packets.tolist(), [3, 1, 2, 2])
        self.assertNotIn("p1_tcp_psh_0", t.columns)

        def values(name):
            return t.x[:, t.columns.index(name)].tolist()

        self.assertEqual(values("p2_ipv4_ttl_0"), [1, -1, 1, 0])
        self.assertEqual(values("p3_payload"), [7, -65536, -65536, -65536])
        self.assertEqual(values("first2_duration"), [10, 1.5, 20, 40])
        self.assertEqual(values("first3_duration"), [11, 1.5, 20, 40])
        # p3_dir repeats p2_ipv4_ttl_0 in training.
        self.assertNotIn("p3_dir", t.columns)
        self.assertEqual([table.packet_of(c) for c in ("proto", "p12_gap", "first3_duration")], [1, 12, 3])


class Promise(unittest.TestCase):
    def test_bounds(self):
        # The rule of three: no error in n flows bounds the rate by about 3/n.
        self.assertAlmostEqual(calibrate.upper_bound(0, 300, 0.05), 1 - 0.05 ** (1 / 300))
        self.assertEqual(calibrate.upper_bound(4, 4, 0.05), 1)
        self.assertEqual(calibrate.lower_bound(0, 10, 0.05), 0)
        self.assertLess(calibrate.lower_bound(5, 50, 0.05), 0.1)
        self.assertGreater(calibrate.upper_bound(5, 50, 0.05), 0.1)

    def test_lowest_keeps_the_promise(self):
        """Over many draws the true error is above the target in at most delta
        of them."""
        rng, broken, draws = np.random.default_rng(3), 0, 300
        shares = []
        for _ in range(draws):
            conf = rng.random(2000)
            right = rng.random(2000) < 0.8 + 0.2 * conf  # the error is 0.2 (1 - conf)
            t = calibrate.lowest(conf, right, 0.05, 0.1)
            shares.append((conf >= t).mean())
            broken += 0.2 * (1 - (1 + t) / 2) > 0.05
        self.assertLessEqual(broken / draws, 0.1)
        # With the truth known, half of the flows could be accepted.
        self.assertGreater(np.median(shares), 0.25)

    def test_lowest_without_evidence(self):
        right = np.ones(30, bool)
        self.assertEqual(calibrate.lowest(np.linspace(0.9, 1, 30), right, 0.02, 0.05), calibrate.NEVER)
        self.assertEqual(calibrate.lowest(np.array([]), np.array([], bool), 0.02, 0.05), calibrate.NEVER)

    def test_equal_confidences_stay_together(self):
        conf = np.repeat([0.9, 0.5], [100, 100])
        right = np.repeat([True, False], [100, 100])
        t = calibrate.lowest(conf, right, 0.05, 0.05)
        self.assertTrue(0.5 < t < 0.9)

    def test_class_without_evidence_is_never_accepted(self):
        probs = np.tile([0.98, 0.01, 0.01], (400, 1))
        t = calibrate.thresholds(probs, np.zeros(400, int), "margin", False, 0.02, 0.05)
        self.assertTrue(t[0] < 1)
        self.assertEqual(list(t[1:]), [calibrate.NEVER] * 2)

    def test_measures(self):
        probs = np.array([[0.7, 0.2, 0.1], [1, 0, 0]], np.float32)
        np.testing.assert_allclose(calibrate.confidence(probs, "max_probability"), [0.7, 1])
        np.testing.assert_allclose(calibrate.confidence(probs, "margin"), [0.5, 1], rtol=1e-6)
        np.testing.assert_allclose(calibrate.confidence(probs, "entropy"), [0.2702, 1], atol=1e-4)


class Cascade(unittest.TestCase):
    def test_run(self):
        sure, unsure = [0.95, 0.05], [0.4, 0.6]
        fast = calibrate.Stage(1, np.array([sure, unsure, unsure]), "max_probability", np.array([0.9, 0.9]))
        few = calibrate.Stage(3, np.array([unsure, sure, sure]), "max_probability", np.array([0.9, 0.9]))
        slow = calibrate.Stage(10, np.array([unsure, unsure, unsure]), "max_probability", np.array([0.5, 0.7]))
        # The third flow ends before the second stage: the last has the word,
        # and it is not sure enough.
        out = calibrate.run([fast, few, slow], np.array([12, 12, 2]))
        self.assertEqual(out.said.tolist(), [0, 0, calibrate.UNKNOWN])
        self.assertEqual(out.stage.tolist(), [0, 1, 2])

    def test_within_withdraws_what_costs(self):
        y = np.array([0] * 50 + [1] * 50)
        right = np.eye(2)[y]
        wrong_on_one = np.tile([0.05, 0.95], (100, 1))
        stages = [
            calibrate.Stage(1, wrong_on_one, "max_probability", np.array([0.9, 0.9])),
            calibrate.Stage(2, right, "max_probability", np.zeros(2)),
        ]
        out = calibrate.within(stages, 0, np.full(100, 5), y, 0.99)
        self.assertEqual(stages[0].thresholds.tolist(), [0.9, calibrate.NEVER])
        self.assertEqual(out.share(0), 0)


if __name__ == "__main__":
    unittest.main()
