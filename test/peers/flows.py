"""The flows of captures, as a tap sends them to a sidecar.

`serveflow replay` plays them to a socket of our own here, in the protocol of
docs/protocol.md: so every peer gets the packets that the sidecar gets, from
the same rules about what a flow is.
"""

import json
import pickle
import socket
import struct
import subprocess
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

HELLO, PACKET, END, SYNC, WELCOME, SYNCED = 0, 1, 3, 4, 17, 18
RAW_BYTES = 192  # more than the headers of any packet and so much payload
PAYLOAD_BYTES = 64
LINKTYPE_RAW = 101
SLOT = 1000  # s from one capture to the next in a joined one: longer than any flow waits


@dataclass
class Packet:
    time: int  # µs
    dir: int  # 0 from the originator, 1 from the responder
    raw: bytes  # from the IP header on
    wire: int  # length on the wire


@dataclass
class Flow:
    capture: str
    number: int  # in its capture, from 1
    packets: list = field(default_factory=list)
    truth: str = ""
    ours: str = ""  # the label that the sidecar gives it


def record(serveflow, bundle, packets, captures):
    """The flows that a bundle serves, with so many first packets and its labels.

    captures are arguments of `serveflow replay` that choose them.
    """
    flows = {}
    with tempfile.TemporaryDirectory() as directory:
        path = str(Path(directory) / "s")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            # When replay is done the listener is shut, which ends the thread.
            thread = threading.Thread(target=_listen, args=(listener, packets, flows))
            thread.start()
            try:
                _replay([serveflow, "replay", "--socket", path, *captures])
            finally:
                listener.shutdown(socket.SHUT_RDWR)
                thread.join()
    found = []
    for row in _replay([serveflow, "replay", "--bundle", bundle, *captures]):
        if row["reason"] != "unserved":
            flow = flows[row["capture"], row["flow"]]
            flow.truth, flow.ours = row.get("truth", ""), row["label"]
            found.append(flow)
    return found


def save(path, flows):
    with open(path, "wb") as f:
        pickle.dump(flows, f)


def load(path):
    with open(path, "rb") as f:
        return pickle.load(f)


def _replay(command):
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def _listen(listener, packets, flows):
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            _serve(connection, packets, flows)


def _serve(connection, packets, flows):
    """One connection, which is one capture."""
    import msgpack

    messages, sensor = msgpack.Unpacker(raw=False), ""
    while data := connection.recv(1 << 16):
        messages.feed(data)
        for kind, *fields in messages:
            if kind == HELLO:
                sensor = fields[1]["sensor"]
                need = {"packets": packets, "raw_bytes": RAW_BYTES, "payload_bytes": PAYLOAD_BYTES}
                connection.sendall(msgpack.packb([WELCOME, 1, need]))
            elif kind == PACKET:
                number, time, direction, _, _, wire, _, raw = fields
                flow = flows.setdefault((sensor, number), Flow(sensor, number))
                flow.packets.append(Packet(time, direction, raw, wire))
            elif kind == SYNC:
                connection.sendall(msgpack.packb([SYNCED, fields[0]]))


def before_quiet(packets, quiet):
    """The packets before the first gap of so many seconds, when a flow is decided."""
    for k in range(1, len(packets)):
        if packets[k].time - packets[k - 1].time >= quiet * 10**6:
            return packets[:k]
    return packets


def write_capture(path, flows, copies=1):
    """Writes the packets of flows as one capture and returns the captures' names.

    Each capture begins SLOT s after the one before. What was not kept of a
    packet, the rest of its payload, is zeros.
    """
    names = list(dict.fromkeys(f.capture for f in flows))
    packets = {name: [] for name in names}
    for flow in flows:
        packets[flow.capture] += flow.packets
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, LINKTYPE_RAW))
        for slot in range(copies * len(names)):
            of_capture = sorted(packets[names[slot % len(names)]], key=lambda p: p.time)
            for p in of_capture:
                time = slot * SLOT * 10**6 + p.time - of_capture[0].time
                size = max(p.wire, len(p.raw))
                out.write(struct.pack("<IIII", time // 10**6 + SLOT, time % 10**6, size, size))
                out.write(p.raw + bytes(size - len(p.raw)))
    return names


def capture_of(names, ms):
    """The name of the capture that a flow of a joined capture comes from, by its first packet."""
    return names[(ms // 1000 // SLOT - 1) % len(names)]
