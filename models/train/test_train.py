"""Tests of the parts of training that bundles rest on.

.venv/bin/python -m unittest models.train.test_train
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

from . import join, lighttext, network, table, train


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
        np.testing.assert_array_equal(booster.predict(probe, pred_leaf=True), again.predict(probe[:, columns], pred_leaf=True))
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
            "source": ["s", "", "", "", ""],
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
        schema = pa.table(columns).replace_schema_metadata({"serveflow.features": json.dumps({"packets": 3, "events": "packet"})})
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "flows.parquet"
            pq.write_table(schema, path)
            t = table.read(path, {"protocols": ["tcp", "udp"], "quiet": 10})
        self.assertEqual(t.labels, ["x", "y"])
        self.assertEqual(t.session.tolist(), ["a", "b", "c", "e"])
        self.assertEqual(t.source.tolist(), ["s", "b", "c", "e"])
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


class Shapes(unittest.TestCase):
    """Four flows: one of UDP with payload in packets 1 and 3, one of TCP in packet 3, one silent, one of an unlisted label."""

    def table(self, **recipe):
        columns = {
            "file": list("abcd"),
            "split": ["train"] * 4,
            "source": [""] * 4,
            "label": ["x", "y", "x", "z"],
            "packets": [3, 3, 2, 3],
            "proto": np.array([17, 6, 6, 17], dtype=np.float32),
            "wait_1": [0] * 4,
            "wait_2": [1, 1, 1, 1],
            "wait_3": [2, 2, -1, 2],
            "p1_payload": np.array([5, 0, 0, 7], dtype=np.float32),
            "p2_payload": np.array([0, 0, 0, 0], dtype=np.float32),
            "p3_payload": np.array([9, 8, -65536, 9], dtype=np.float32),
            "s1_at": np.array([1, 3, -1, 1], dtype=np.float32),
            "s1_ones": np.array([4, 3, -1, 2], dtype=np.float32),
            "s2_at": np.array([3, -1, -1, 3], dtype=np.float32),
            "s2_ones": np.array([6, -1, -1, 7], dtype=np.float32),
        }
        order = [
            "file",
            "split",
            "source",
            "label",
            "packets",
            "wait_1",
            "wait_2",
            "wait_3",
            "proto",
            *[n for n in columns if n[:2] in ("p1", "p2", "p3", "s1", "s2")],
        ]
        about = {"packets": 3, "sections": ["seq", "shape"], "masks": [], "events": "meta"}
        data = pa.table({name: columns[name] for name in order}).replace_schema_metadata(
            {"serveflow.features": json.dumps(about)}
        )
        with tempfile.TemporaryDirectory() as directory:
            pq.write_table(data, Path(directory) / "t.parquet")
            return table.read(Path(directory) / "t.parquet", {"protocols": ["tcp", "udp"], "quiet": 10} | recipe)

    def test_silent_flows_are_left_out(self):
        t = self.table()
        self.assertEqual(t.session.tolist(), ["a", "b", "d"])
        self.assertEqual(t.asked(np.arange(3), 2).tolist(), [0, 2])
        self.assertEqual(t.asked(np.arange(3), 3).tolist(), [0, 1, 2])

    def test_background(self):
        t = self.table(labels=["x", "y"], background="other")
        self.assertEqual((t.labels, t.y.tolist()), (["other", "x", "y"], [1, 2, 0]))

    def test_cells(self):
        t = self.table(hide=["s2_at", "p._payload"])
        self.assertFalse({"s2_at", "p1_payload"} & set(t.columns))
        ones = np.array([t.columns.index("s2_ones"), t.columns.index("s1_ones")])
        self.assertEqual(t.cells(np.arange(3), ones, 3).tolist(), [[6, 4], [-1, 3], [7, 2]])
        self.assertEqual(t.cells(np.arange(3), ones, 2).tolist(), [[-1, 4], [-1, -1], [-1, 2]])
        both = np.array([t.columns.index("s1_at"), ones[1]])
        self.assertEqual(t.without_payload(t.cells(np.arange(3), both, 3), both).tolist(), [[1, -1], [3, -1], [1, -1]])

    def test_cut(self):
        """Training flows are there again with fewer packets, and as such see no later one."""
        t = self.table(cut=1.0)
        self.assertEqual(t.session.tolist()[:3], ["a", "b", "d"])
        again = slice(3, None)
        self.assertTrue(set(t.session[again].tolist()) <= {"a", "b", "d"} and len(t.y) > 3)
        self.assertTrue((t.packets[again] < 3).all())
        self.assertEqual(t.x[again, t.columns.index("s1_ones")].tolist(), [{"a": 4, "d": 2}.get(s, -1) for s in t.session[again]])
        later = [t.columns.index(c) for c in ("p3_payload", "s2_ones") if c in t.columns]
        self.assertTrue((t.x[again][:, later] < 0).all())
        self.assertEqual(self.table(cut=1.0).packets.tolist(), t.packets.tolist())

    def test_gain(self):
        t = self.table(gain={"s1_.*": 0.5, "s._at": 0.25})
        self.assertEqual([t.gain[t.columns.index(c)] for c in ("s1_at", "s2_at", "proto")], [0.5, 0.25, 1.0])


class Candidates(unittest.TestCase):
    def table(self):
        session = np.array([f"{'abc'[k]}{i}" for k in range(3) for i in range(7) for _ in range(4)])
        y = np.array([k for k in range(3) for _ in range(28)])
        rng = np.random.default_rng(2)
        x = np.stack([y + rng.random(84), rng.random(84)], axis=1).astype(np.float32)
        return table.Table(
            about={"packets": 2, "sections": ["seq"], "masks": [], "events": "packet"},
            protocols=["tcp"],
            columns=["p1_len", "p2_len"],
            x=x,
            labels=["a", "b", "c"],
            y=y,
            split=np.array(["train"] * 84),
            session=session,
            source=session,
            packets=np.full(84, 2),
            speaks=np.ones(84),
            at=np.full((84, table.SHAPES), table.FAR),
            gain=np.ones(2),
        )

    def test_folds_deal_out_the_sessions_of_each_class(self):
        t = self.table()
        fold = train.folds_of(t, 3)
        self.assertEqual(sorted(fold), sorted(set(t.session.tolist())))
        for label in "abc":
            dealt = sorted([f for s, f in fold.items() if s[0] == label])
            self.assertTrue(all(2 <= dealt.count(f) <= 3 for f in range(3)))
        self.assertEqual(fold, train.folds_of(t, 3))

    def test_folds_part_the_sessions_of_a_rare_class(self):
        """Every session has flows of the first class; three have the second, too."""
        t = self.table()
        rare = ["a1", "b2", "c3"]
        t.y = np.array([1 if s in rare and i % 4 == 0 else 0 for i, s in enumerate(t.session)])
        fold = train.folds_of(t, 3)
        self.assertEqual(sorted(fold[s] for s in rare), [0, 1, 2])

    def test_folds_leave_sources_whole(self):
        t = self.table()
        t.source = np.array([s if s[0] == "a" else s[0] + str(int(s[1]) % 3) for s in t.session])
        fold = train.folds_of(t, 3)
        self.assertEqual(sorted(fold), sorted(set(t.session.tolist())))
        of: dict = {}
        for session, source in zip(t.session.tolist(), t.source.tolist()):
            self.assertEqual(of.setdefault(source, fold[session]), fold[session])
        self.assertEqual({of[s] for s in of if s[0] == "b"}, {0, 1, 2})

    def test_models_of_folds_have_not_seen_theirs(self):
        """A class whose sessions are all held back is never said."""
        t = self.table()
        fold = {s: 0 if s[0] == "c" else 1 for s in t.session}
        seen = []

        class Spy(train.Candidate):
            def model(self, of):
                seen.append(set(of.session[of.rows("train")].tolist()))
                return super().model(of)

        original = train.folds_of
        train.folds_of = lambda *_: fold
        try:
            with tempfile.TemporaryDirectory() as directory:
                c = Spy("tree1", "packet", "tree", 1, {"min_leaf": 1, "power": 0.5})
                train.train(train.Folder(Path(directory)), [c], t, 2, "source", {})
                booster = lgb.Booster(model_file=f"{directory}/tree1.fold0.txt")
                self.assertNotIn(2, booster.predict(t.x[:, :1]).argmax(1))
        finally:
            train.folds_of = original
        everything = set(t.session.tolist())
        of_c = {s for s in everything if s[0] == "c"}
        self.assertEqual(seen, [everything, everything - of_c, of_c])

    def test_what_is_there_is_not_made_again(self):
        with tempfile.TemporaryDirectory() as directory:
            made = []

            def make():
                made.append(1)
                return b"model"

            for source in ("one", "one", "two"):
                train.Folder(Path(directory)).add("m.txt", source, make)
            self.assertEqual(len(made), 2)
            (Path(directory) / "m.txt").write_bytes(b"mod")  # cut
            self.assertEqual(train.Folder(Path(directory)).add("m.txt", "two", make), b"model")

    def test_network_survives_its_file(self):
        rng = np.random.default_rng(4)
        net = network.Network(["a", "b"], rng.random(2), rng.random(2) + 1, [rng.random((2, 3))], [rng.random(3)])
        again = network.load(network.export(net).SerializeToString())
        x = rng.random((5, 2))
        np.testing.assert_allclose(network.forward(net, x), network.forward(again, x), atol=1e-6)
        self.assertEqual(again.columns, ["a", "b"])


class Joined(unittest.TestCase):
    def test_labels_are_called_by_their_detail(self):
        names = {"other/TLS-*": "", "other/LLMNR": "dns", "bulk-tls": "web", "remote-desktop/xrdp": "rdp"}
        for label, detail, want in [
            ("other", "TLS-aborted", ""),
            ("other", "LLMNR", "dns"),
            ("other", "NTP", "other"),
            ("bulk-tls", None, "web"),
            ("remote-desktop", "xrdp", "rdp"),
            ("remote-desktop", "x11vnc", "remote-desktop"),
            ("web", "TLS-aborted", "web"),
        ]:
            self.assertEqual(join.called(names, label, detail), want)


if __name__ == "__main__":
    unittest.main()
