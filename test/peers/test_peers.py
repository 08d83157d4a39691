"""Tests of what the comparison rests on.

    build/peers-venv/bin/python -m unittest discover -s test/peers

Where a package is missing, what needs it is skipped.
"""

import io
import json
import re
import struct
import tempfile
import unittest
from pathlib import Path

import flows
import report

ROOT = Path(__file__).parent.parent.parent


def needs(*modules):
    """Skips a test where a package is missing."""

    def found(name):
        try:
            __import__(name)
        except ImportError:
            return False
        return True

    missing = [name for name in modules if not found(name)]
    return unittest.skipIf(missing, f"without {', '.join(missing)}")


class Report(unittest.TestCase):
    def test_f1_macro(self):
        # a: 1 of 2 right and one too many; b: 1 of 2; c occurs in what is given alone.
        f1 = report.f1_macro(["a", "a", "b", "b"], ["a", "c", "b", "a"])
        self.assertAlmostEqual(f1, (2 / 4 + 2 / 3) / 2)

    def test_ratios_are_of_one_round(self):
        peers = {
            "serveflow, cascade": [{"rate": 100.0, "f1_macro": 0.5}, {"rate": 10.0, "f1_macro": 0.5}],
            "serveflow, slow": [{"rate": 50.0, "f1_macro": 0.5}, {"rate": 5.0, "f1_macro": 0.5}],
            "other": [{"rate": 10.0, "f1_macro": 0.4, "same": 3}, {"rate": 2.0, "f1_macro": 0.4, "same": 3}],
        }
        rows = {
            ("serveflow's forest", 1): [{"rate": 400.0, "difference": 0.0}, {"rate": 40.0, "difference": 0.0}],
            ("engine", 1): [{"rate": 200.0, "difference": 1e-7}, {"rate": 10.0, "difference": 3e-7}],
        }
        made = report.make(peers, rows)
        other, engine = made["peers"][2], made["engines"][1]
        self.assertEqual(other["cascade_over_it"], {"median": 7.5, "min": 5.0, "max": 10.0})
        self.assertEqual(other["slow_over_it"], {"median": 3.75, "min": 2.5, "max": 5.0})
        self.assertEqual(engine["forest_over_it"], {"median": 3.0, "min": 2.0, "max": 4.0})
        self.assertEqual(engine["difference"], 3e-7)
        text = io.StringIO()
        about = {"bundle": "b", "flows": 4, "rounds": 2, "versions": {"x": "1"}, "load": [0.0, 1.0]}
        report.write(about | made, text)
        self.assertRegex(text.getvalue(), r"\n\| other +\| +6 \(2–10\) \| +7\.5 \(5\.0–10\) \| .* \.400 \|\n")
        self.assertRegex(text.getvalue(), r"\n\| serveflow, slow +\| .* \| +2\.0 \| +\| .* \.500 \|\n")
        self.assertIn("Labels of the other: 3 of 4 are the sidecar's", text.getvalue())


class Flows(unittest.TestCase):
    def test_before_quiet(self):
        packets = [flows.Packet(t * 10**6, 0, b"", 0) for t in (0, 9, 18, 28, 29)]
        self.assertEqual(len(flows.before_quiet(packets, 10)), 3)
        self.assertEqual(len(flows.before_quiet(packets, 11)), 5)

    def test_joined_capture(self):
        """Two captures, twice: each packet in the slot of its capture, padded to its length on the wire."""
        found = [
            flows.Flow("a", 1, [flows.Packet(5_000_000, 0, b"E1", 4), flows.Packet(7_500_000, 1, b"E2", 2)]),
            flows.Flow("b", 1, [flows.Packet(9_000_000, 0, b"E3", 2)]),
            flows.Flow("a", 2, [flows.Packet(6_000_000, 0, b"E4", 2)]),
        ]
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "joined.pcap"
            names = flows.write_capture(path, found, copies=2)
            data = path.read_bytes()[24:]
        seen = []
        while data:
            seconds, micros, size, wire = struct.unpack_from("<IIII", data)
            self.assertEqual(size, wire)
            seen.append((flows.capture_of(names, seconds * 1000), seconds + micros / 1e6, data[16 : 16 + size]))
            data = data[16 + size :]
        one = [("a", 0, b"E1\0\0"), ("a", 1, b"E4"), ("a", 2.5, b"E2"), ("b", flows.SLOT, b"E3")]
        two = [(name, t + 2 * flows.SLOT, raw) for name, t, raw in one]
        self.assertEqual(seen, [(name, t + flows.SLOT, raw) for name, t, raw in one + two])


@needs("numpy")
class Features(unittest.TestCase):
    def test_masks_and_values(self):
        import features

        options = bytes.fromhex("020405b4 0101 080a 11223344 00000000".replace(" ", "")) + b"\0\0"
        syn = tcp(50000, 443, 0x02, options)
        answer = tcp(443, 50000, 0x12, b"", payload=100)
        packets = [flows.Packet(0, 0, syn, len(syn)), flows.Packet(3, 1, answer, len(answer))]
        names = ["resp_port", "p1_tcp_sprt_0", "p1_tcp_dprt_7", "p2_tcp_sprt_7", "p1_tcp_syn_0", "p2_tcp_ackf_0"]
        names += ["p1_tcp_opt_6", "p1_tcp_opt_52", "p1_tcp_opt_64", "p2_tcp_opt_0", "p1_udp_len_0", "p3_ipv4_ttl_0"]
        names += ["p2_payload", "p2_gap", "p2_flags", "p3_payload", "p3_dir", "first2_resp_bytes", "first3_orig_pkts"]
        want = [443, -1, 1, 1, 1, 1]
        # Of the options: a bit of "maximum segment size", a bit of the kind of the time stamps, one of their value.
        want += [1, 1, -1, -1, -1, -1]
        want += [-100, 2, 0x12, -65536, -1, 100, 1]
        self.assertEqual(features.Encoder(names).row(packets).tolist(), want)

    def test_shapes(self):
        import features

        get, answer = b"GET / HTTP/1.1\r\n", b"\0\1ab"
        packets = [
            flows.Packet(0, 0, tcp(50000, 80, 0x02, b""), 40),
            flows.Packet(3, 0, tcp(50000, 80, 0x18, b"", get), 56),
            flows.Packet(10, 1, tcp(80, 50000, 0x18, b"", answer), 44),
        ]
        names = ["s1_at", "s1_dir", "s1_size", "s1_gap", "s1_byte1", "s1_printable", "s1_run", "s1_leading", "s1_head"]
        names += ["s2_at", "s2_gap", "s2_byte3", "s2_byte5", "s2_zeros", "s2_distinct", "s2_entropy", "s2_rest"]
        names += ["s2_echo", "s2_same", "s3_at", "s1_dns_labels", "p3_payload"]
        want = [2, 0, 16, 2, ord("G"), 14 / 16, 14, 14, 0x474554, 3, 3, ord("a"), -1, 1 / 4, 1, 2, 0, 0, -1, -1, -1, -4]
        self.assertEqual(features.Encoder(names).row(packets).tolist(), want)
        self.assertTrue(features.silent(packets[:1]))
        self.assertFalse(features.silent(packets))

    def test_unknown_column(self):
        import features

        for name in ("p1_ipv4_src_0", "p1_nothing", "first1_dir", "s1_nothing"):
            with self.assertRaises((ValueError, KeyError)):
                features.Encoder([name])


def tcp(source, destination, flags, options, payload=b""):
    payload = bytes(payload)  # a number is so many zeros
    header = struct.pack(">HHIIBBHHH", source, destination, 1, 0, (20 + len(options)) // 4 << 4, flags, 512, 0, 0)
    size = 20 + len(header) + len(options) + len(payload)
    ip = struct.pack(">BBHHHBBHII", 0x45, 0, size, 0, 0, 64, 6, 0, 0x0A000001, 0x0A000002)
    return ip + header + options + payload


@needs("lightgbm", "numpy")
class Models(unittest.TestCase):
    def test_portable_text_predicts_the_same(self):
        import lightgbm as lgb
        import numpy as np

        import engines

        path = ROOT / "models/iot-device/small1.txt"
        text = engines.portable(path.read_text())
        trees = re.split(r"\n(?=Tree=|end of trees)", text)[1:-1]
        sizes = re.search(r"^tree_sizes=(.*)$", text, re.MULTILINE).group(1)
        self.assertEqual(sizes, " ".join(str(len(t) + 1) for t in trees))
        golden = json.loads(Path(f"{path}.golden.json").read_text())
        got = lgb.Booster(model_str=text).predict(np.array(golden["rows"], np.float32))
        np.testing.assert_allclose(got, golden["probs"], atol=1e-6)

    def test_floor32(self):
        import engines

        self.assertEqual(engines.floor32(0.5), 0.5)
        self.assertLess(engines.floor32(0.1), 0.1)  # the nearest float32 is above

    def test_single_row(self):
        import numpy as np

        import predictor

        path = ROOT / "models/iot-device/small3.txt"
        golden = json.loads(Path(f"{path}.golden.json").read_text())
        predict = predictor.SingleRow(path)
        for row, probs in zip(golden["rows"], golden["probs"], strict=True):
            np.testing.assert_allclose(predict(np.array(row, np.float32)), probs, atol=1e-6)

    @needs("msgpack")
    @unittest.skipUnless((ROOT / "bin/serveflow").exists(), "without bin/serveflow: make build")
    def test_consumer_labels_as_the_sidecar(self):
        import bundle
        import consumer

        lab = ROOT / "test/captures/lab/manifest.csv"
        chosen = ["--manifest", str(lab), "--label", "label", "--split", "test"]
        models = ROOT / "models/iot-device"
        b = bundle.read(models)
        found = flows.record(ROOT / "bin/serveflow", str(models), b.stages[-1].packets, chosen)
        labeller = consumer.Consumer(b, slow=False)
        self.assertGreater(len(found), 50)
        labels = [labeller.label(flows.before_quiet(f.packets, b.quiet)) for f in found]
        self.assertEqual(labels, [f.ours for f in found])


if __name__ == "__main__":
    unittest.main()
