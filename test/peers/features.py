"""The features of package feature, one flow at a time, in numpy.

As one would write them in Python: headers are laid side by side, spelled out by
np.unpackbits, and the model's columns are picked. docs of package feature say
what the columns mean.
"""

import math
import re
import struct

import numpy as np

import shapes

TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
MISSING, MISSING_PAYLOAD, MAX_SIZE = -1, -65536, 65535
EPHEMERAL = 32768

# Where headers lie in the bytes of a packet, and where their fields begin, in bits.
IPV4_AT, TCP_AT, UDP_AT, ICMP_AT, PACKET_BYTES = 0, 60, 120, 128, 136
FIELDS = {
    "ipv4": (IPV4_AT, "ver 0 hl 4 tos 8 tl 16 rbit 48 dfbit 49 mfbit 50 foff 51 ttl 64 proto 72 opt 160"),
    "tcp": (
        TCP_AT,
        "sprt 0 dprt 16 doff 96 res 100 ns 103 cwr 104 ece 105 urg 106 ackf 107 "
        + "psh 108 rst 109 syn 110 fin 111 wsize 112 urp 144 opt 160",
    ),
    "udp": (UDP_AT, "sport 0 dport 16 len 32"),
    "icmp": (ICMP_AT, "type 0 code 8 roh 32"),
}
BITS = {
    (section, name): base * 8 + int(at)
    for section, (base, text) in FIELDS.items()
    for name, at in zip(text.split()[::2], text.split()[1::2])
}
HIDDEN_TCP_OPTIONS = {5, 8, 19, 29, 30, 34}
HIDDEN_IP_OPTIONS = {3, 4, 7, 9}
ICMP_QUERIES = {0, 5, 8, 13, 14, 15, 16, 17, 18, 42, 43}  # and redirects, which hold addresses
EXTENSIONS = {0, 43, 60, 135, 139, 140}

_COLUMN = re.compile(r"p(\d+)_(?:(ipv4|tcp|udp|icmp)_([a-z]+)_(\d+)|([a-z]+))$|first(\d+)_([a-z_]+)$")
_SHAPE = re.compile(r"s(\d+)_([a-z0-9_]+)$")
SEQ = ("dir", "payload", "len", "gap", "flags", "window")
SUMS = ("orig_pkts", "resp_pkts", "orig_bytes", "resp_bytes", "duration")


class Encoder:
    """Makes the rows of a model, with all masks."""

    def __init__(self, columns):
        self.packets, self.shapes = 1, 0
        at, bits, values, of_shapes = [], [], [], []
        for i, name in enumerate(columns):
            if name in ("proto", "resp_port"):
                values.append((i, 0, ("proto", "resp_port").index(name)))
                continue
            if shape := _SHAPE.match(name):
                j, value = int(shape[1]), shapes.PLACE.get(shape[2])
                if value is None:
                    raise ValueError(f"feature column {name!r} is not known here")
                self.shapes = max(self.shapes, j)
                of_shapes.append((i, (j - 1) * len(shapes.NAMES) + value))
                continue
            match = _COLUMN.match(name)
            if not match:
                raise ValueError(f"feature column {name!r} is not known here")
            packet, section, field, bit, seq, first, total = match.groups()
            k = int(packet or first) - 1
            self.packets = max(self.packets, k + 1)
            if section:
                at.append(i)
                bits.append(k * PACKET_BYTES * 8 + BITS[section, field] + int(bit))
            else:
                values.append((i, 1 + k, SEQ.index(seq) if seq else len(SEQ) + SUMS.index(total)))
        self.width = len(columns)
        self.bit_at, self.bits = np.array(at, np.intp), np.array(bits, np.intp)
        # Shapes stand after the values of all packets.
        size = len(SEQ) + len(SUMS)
        self.value_at = np.array([v[0] for v in values + of_shapes], np.intp)
        after = (1 + self.packets) * size
        self.values = np.array([v[1] * size + v[2] for v in values] + [after + v[1] for v in of_shapes], np.intp)

    def row(self, packets):
        """The row, float32, of a flow's first packets."""
        data, seen = bytearray(self.packets * PACKET_BYTES), bytearray(self.packets * PACKET_BYTES)
        values, read = [], []
        sums, last = [0, 0, 0, 0], packets[0].time
        for k in range(self.packets):
            if k < len(packets):
                p = packets[k]
                headers = _headers(p, data, seen, k * PACKET_BYTES)
                read.append(headers)
                if k == 0:
                    values += [*_flow(p, headers), *[MISSING] * (len(SEQ) + len(SUMS) - 2)]
                values += _seq(p, headers, last)
                last = p.time
                _add(sums, p.dir, headers.payload)
            else:
                values += [MISSING, MISSING_PAYLOAD, MISSING, MISSING, MISSING, MISSING]
            values += [*sums, _span(packets[0].time, last)]
        if self.shapes:
            for p in packets[self.packets :]:
                read.append(_headers(p, bytearray(PACKET_BYTES), bytearray(PACKET_BYTES), 0))
            values += shapes.of_flow(packets, read, self.shapes, _span)
        row = np.empty(self.width, np.float32)
        known = np.unpackbits(np.frombuffer(seen, np.uint8))[self.bits]
        row[self.bit_at] = np.where(known, np.unpackbits(np.frombuffer(data, np.uint8))[self.bits], np.float32(-1))
        row[self.value_at] = np.array(values, np.float32)[self.values]
        return row


class Headers:
    """What is read of a packet beside its bits."""

    __slots__ = ("bytes", "flags", "length", "payload", "ports", "proto", "window")


def _headers(p, data, seen, at):
    """Reads a packet, and puts the bytes of its headers and which are known to their places."""
    raw, h = p.raw, Headers()
    h.flags = h.window = h.payload = MISSING
    h.ports, more = None, False
    h.bytes = b""
    if raw[0] >> 4 == 4:
        net = (raw[0] & 15) * 4
        h.length, h.proto, start = raw[2] << 8 | raw[3] or p.wire, raw[9], net
        more = raw[6] & 0x20 != 0
        _put(data, seen, at + IPV4_AT, raw[:net])
        if net > 20:
            _hide_options(seen, at + IPV4_AT, raw[:net], HIDDEN_IP_OPTIONS, 31)
    else:
        net = 40
        size = raw[4] << 8 | raw[5]
        h.length, h.proto, start = 40 + size if size else p.wire, raw[6], net
        while h.proto in EXTENSIONS and start + 8 <= len(raw):
            h.proto, start = raw[start], start + 8 + 8 * raw[start + 1]
    rest, b = h.length - start, raw[start : min(len(raw), h.length)]
    if h.proto == TCP and len(b) >= 20:
        size = (b[12] >> 4) * 4
        h.flags, h.window, h.payload = (b[12] & 1) << 8 | b[13], b[14] << 8 | b[15], rest - size
        h.bytes = bytes(b[size:])
        h.ports = struct.unpack_from(">HH", b)
        _put(data, seen, at + TCP_AT, b[:size])
        _hide_ports(seen, at + TCP_AT, h.ports, p.dir)
        if size > 20:
            _hide_options(seen, at + TCP_AT, b[:size], HIDDEN_TCP_OPTIONS, 255)
    elif h.proto == UDP and len(b) >= 8:
        size = b[4] << 8 | b[5]
        h.payload = (min(size, rest) if size and not more else rest) - 8
        h.bytes = bytes(b[8:])
        h.ports = struct.unpack_from(">HH", b)
        _put(data, seen, at + UDP_AT, b[:8])
        _hide_ports(seen, at + UDP_AT, h.ports, p.dir)
    elif h.proto in (ICMP, ICMPV6):
        h.payload = max(rest, 8) - 8
        h.bytes = bytes(b[8:])
        _put(data, seen, at + ICMP_AT, b[:8])
        if (h.proto == ICMP and b[0] in ICMP_QUERIES) or (h.proto == ICMPV6 and b[0] in (128, 129, 160, 161)):
            seen[at + ICMP_AT + 4 : at + ICMP_AT + 8] = bytes(4)
    return h


def silent(packets):
    """Whether packets of TCP or UDP carry no payload: no model is asked about them."""
    for p in packets:
        h = _headers(p, bytearray(PACKET_BYTES), bytearray(PACKET_BYTES), 0)
        if h.payload != 0 or h.proto not in (TCP, UDP):
            return False
    return True


def _put(data, seen, at, header):
    data[at : at + len(header)] = header
    seen[at : at + len(header)] = b"\xff" * len(header)


def _hide_ports(seen, at, ports, direction):
    source, destination = ports
    if source >= EPHEMERAL or (direction != 1 and source >= 1024 and source != destination):
        seen[at : at + 2] = b"\0\0"
    if destination >= EPHEMERAL or (direction != 0 and destination >= 1024 and source != destination):
        seen[at + 2 : at + 4] = b"\0\0"


def _hide_options(seen, at, header, hidden, kinds):
    i = 20
    while i + 1 < len(header) and header[i] != 0:
        if header[i] == 1:
            i += 1
            continue
        size = header[i + 1]
        end = min(i + size, len(header)) if size >= 2 else len(header)
        if size < 2:
            seen[at + i : at + end] = bytes(end - i)
        elif header[i] & kinds in hidden and end > i + 2:
            seen[at + i + 2 : at + end] = bytes(end - i - 2)
        i = end


def _flow(p, h):
    port = h.ports[1 - p.dir] if h.ports and p.dir <= 1 else 0
    return h.proto, port if 0 < port < EPHEMERAL else MISSING


def _seq(p, h, last):
    payload = MISSING_PAYLOAD
    if h.payload >= 0 and p.dir <= 1:
        payload = min(h.payload, MAX_SIZE) * (1 - 2 * p.dir)
    return [p.dir, payload, min(h.length, MAX_SIZE), _span(last, p.time), h.flags, h.window]


def _add(sums, direction, payload):
    sums[direction] += 1
    if payload < 0:
        sums[2 + direction] = MISSING
    elif sums[2 + direction] != MISSING:
        sums[2 + direction] += min(payload, MAX_SIZE)


def _span(start, end):
    return math.log2(1 + end - start) if end > start else 0.0
