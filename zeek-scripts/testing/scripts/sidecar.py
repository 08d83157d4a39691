#!/usr/bin/env python3
"""A sidecar for the tests: it labels every flow by what it is made of.

    sidecar.py SOCKET EVENTS [--silent | --deaf | --patient] -- COMMAND ...

runs the command while it listens, and writes the messages that came to EVENTS, a
line each. With --silent it takes everything and says nothing but WELCOME, with
--deaf it reads HELLO and nothing else, with --patient it labels a flow at its end
only. The exit code is that of the command.
"""

import os
import socket
import struct
import subprocess
import sys
import threading

PACKETS = 3  # that it wants of a flow
SERVICES = {"tcp": "http,ssh", "udp": "ntp"}  # that go together with its labels


class Reader:
    """msgpack values out of a socket: those that a tap sends."""

    def __init__(self, conn):
        self.file = conn.makefile("rb")

    def take(self, n):
        data = self.file.read(n)
        if len(data) < n:
            raise EOFError
        return data

    def number(self, n):
        return int.from_bytes(self.take(n), "big")

    def value(self):
        b = self.take(1)[0]
        if b < 0x80:
            return b
        if b < 0x90:
            return {self.value(): self.value() for _ in range(b & 0x0F)}
        if b < 0xA0:
            return [self.value() for _ in range(b & 0x0F)]
        if b < 0xC0:
            return self.take(b & 0x1F).decode()
        if b in (0xC2, 0xC3):
            return b == 0xC3
        if b in (0xC4, 0xC5):
            return self.take(self.number(b - 0xC3))
        if b in (0xD9, 0xDA):
            return self.take(self.number(b - 0xD8)).decode()
        if 0xCC <= b <= 0xCF:
            return self.number(1 << (b - 0xCC))
        raise ValueError(f"a value begins with {b:#x}")


def pack(v):
    if isinstance(v, float):
        return b"\xca" + struct.pack(">f", v)
    if isinstance(v, int):
        return bytes([v]) if v < 0x80 else b"\xcf" + struct.pack(">Q", v)
    if isinstance(v, str):
        return b"\xd9" + bytes([len(v.encode())]) + v.encode()
    if isinstance(v, dict):
        return bytes([0x80 + len(v)]) + b"".join(pack(k) + pack(x) for k, x in v.items())
    return bytes([0x90 + len(v)]) + b"".join(map(pack, v))


def describe(m):
    """A message in words that are the same in every run."""
    kind, *f = m
    if kind == 0:
        hello = {k: v for k, v in f[1].items() if k not in ("pid", "engine_version")}
        if "run" in hello:
            hello["run"] = f"{len(hello['run'])} digits"
        return f"HELLO {f[0]} {hello}"
    if kind == 1:
        return f"PACKET {f[0]} {f[1]} dir={f[2]} {f[3]}+{f[4]} wire={f[5]} link={f[6]} {f[7].hex()}"
    if kind == 3:
        return f"END {f[0]} {f[1]}"
    if kind == 4:
        return f"SYNC {f[1]}"
    return None


def serve(conn, events, mode):
    wanted = 1000 if mode == "--patient" else PACKETS
    r = Reader(conn)
    first, seen, labelled = {}, {}, set()

    def label(flow, stage, reason):
        if flow in labelled or flow not in first:
            return
        labelled.add(flow)
        raw = first[flow]
        proto = raw[9] if raw[0] >> 4 == 4 else raw[6]
        name = {6: "tcp", 17: "udp", 1: "icmp", 58: "icmp"}.get(proto, "other")
        fields = [16, flow, name, 0.5 + seen[flow] / 8, stage, seen[flow], 1000, "test@1", reason]
        conn.sendall(pack([*fields, SERVICES[name]] if name in SERVICES else fields))

    try:
        while True:
            m = r.value()
            said = describe(m)
            if said:
                events.write(said + "\n")
                events.flush()
            if m[0] == 0:
                conn.sendall(pack([17, 1, {"packets": wanted, "raw_bytes": 80, "payload_bytes": 0}]))
            if mode == "--deaf":
                threading.Event().wait()
            if mode == "--silent":
                continue
            if m[0] == 1:
                first.setdefault(m[1], m[8])
                seen[m[1]] = seen.get(m[1], 0) + 1
                if seen[m[1]] == wanted:
                    label(m[1], "last", "last_stage")
            elif m[0] == 3:
                label(m[1], "", "flow_end")
            elif m[0] == 4:
                conn.sendall(pack([18, m[1]]))
    except (EOFError, ConnectionError):
        pass


def main():
    split = sys.argv.index("--")
    path, written, *mode = sys.argv[1:split]
    if os.path.exists(path):
        os.unlink(path)
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()
    with open(written, "w", encoding="utf-8") as events:

        def accept():
            while True:
                conn, _ = server.accept()
                thread = threading.Thread(target=serve, args=(conn, events, mode[0] if mode else ""), daemon=True)
                thread.start()

        threading.Thread(target=accept, daemon=True).start()
        code = subprocess.call(sys.argv[split + 1 :])
        os.unlink(path)
        events.flush()
        os._exit(code)


main()
