"""What the checks share: programs, a sidecar, and what it has written of captures."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILES = ROOT / "packaging" / "integrations"
CAPTURES = [
    "test/captures/dns.pcap",
    "test/captures/tls.pcap",
    "test/captures/icmp.pcap",
    *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "test/captures/lab/pcap").glob("icmp-tunnel*"))[:2],
    *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "test/captures/lab/pcap").glob("openvpn*"))[:2],
]
# The first argument of check.py.
SERVEFLOW = os.path.abspath(sys.argv.pop(1))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def program(name):
    path = shutil.which(name, path=os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]))
    if path is None:
        raise unittest.SkipTest(f"{name} is not installed")
    return path


def run(*command, **options):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, **options)


class Sidecar:
    """A sidecar that runs until it is stopped, with its files in a directory."""

    def __init__(self, directory):
        self.port = free_port()
        self.directory = pathlib.Path(directory)
        self.socket = self.directory / "taps.sock"
        config = self.directory / "serveflow.toml"
        config.write_text(
            f"""[listen]
socket = "{self.socket}"
[labels]
path = "{self.directory}/labels.jsonl"
[eve]
listen = "{self.directory}/eve.sock"
sensor = "dns.pcap"
output = "{self.directory}/eve.json"
[telemetry]
listen = "127.0.0.1:{self.port}"
"""
        )
        self.process = subprocess.Popen([SERVEFLOW, "run", "-c", config], stderr=subprocess.DEVNULL)
        for _ in range(1200):
            if (self.directory / "eve.sock").exists():
                return
            time.sleep(0.05)
        self.stop()
        raise RuntimeError("the sidecar does not get ready")

    def label(self, captures):
        for capture in captures:
            done = run(SERVEFLOW, "replay", "--socket", self.socket, ROOT / capture)
            if done.returncode != 0:
                raise RuntimeError(done.stderr)

    def metrics(self):
        return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics").read().decode()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def lines(self, name):
        return [json.loads(line) for line in (self.directory / name).read_text().splitlines()]


class Labelled:
    """What a sidecar has written of the captures, and EVE records of flows of the first."""

    def __init__(self, directory):
        sidecar = Sidecar(directory)
        try:
            sidecar.label(CAPTURES)
            with socket.socket(socket.AF_UNIX) as eve:
                eve.connect(f"{directory}/eve.sock")
                for flow in range(1, 5):
                    record = {"event_type": "flow", "flow_id": flow, "proto": "UDP", "app_proto": "dns"}
                    eve.sendall(json.dumps(record).encode() + b"\n")
            time.sleep(1)
            self.metrics = sidecar.metrics()
        finally:
            sidecar.stop()
        self.labels = sidecar.lines("labels.jsonl")
        self.eve = sidecar.lines("eve.json")
