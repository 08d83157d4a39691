"""The shape of a payload, as docs of package feature say, in plain Python."""

import math
import struct

MISSING = -1
SHAPE_BYTES, HELLO_BYTES, KEPT = 64, 512, 8
MOST = 6  # packets with payload whose bytes are looked at
NAMES = (
    *("at", "dir", "size", "gap", *(f"byte{i}" for i in range(1, KEPT + 1)), "head", "ones", "printable", "run"),
    *("leading", "zeros", "distinct", "entropy", "rest", "total", "same", "echo", "step", "tls_version", "tls_session"),
    *("dns_reply", "dns_answers", "dns_name", "dns_longest", "dns_labels", "dns_digits", "dns_upper", "dns_odd"),
    *("dns_distinct", "dns_type"),
)
PLACE = {name: i for i, name in enumerate(NAMES)}
TCP, UDP = 6, 17

# n*log2(n) in 1/65536: whole numbers, as the sidecar has them.
_LOGS = [0] + [math.floor(n * math.log2(n) * 65536 + 0.5) for n in range(1, SHAPE_BYTES + 1)]


def of_flow(packets, headers, most, span):
    """The values of the first packets with payload, in the order of NAMES."""
    values, found, last, seen = [], 0, -1, [b"", b""]
    for k, (p, h) in enumerate(zip(packets, headers, strict=True)):
        if h.payload <= 0:
            continue
        if found == most:
            break
        found += 1
        one = dict.fromkeys(NAMES, MISSING)
        one["at"], one["size"], one["gap"] = k + 1, min(h.payload, 65535), span(packets[max(last, 0)].time, p.time)
        one["dir"] = p.dir
        b = h.bytes[: h.payload] if found <= MOST else b""
        short = b[:SHAPE_BYTES]
        if short:
            _content(one, short, h.payload)
            _hello(one, b[:HELLO_BYTES])
            _question(one, short, h.proto)
        same, echo = seen[p.dir], seen[1 - p.dir]
        one["same"], one["echo"] = _common(short, same), _common(short, echo)
        if len(short) >= 4 and len(same) >= 4:
            one["step"] = (int.from_bytes(short[2:4]) - int.from_bytes(same[2:4])) % 65536
        seen[p.dir], last = short, k
        values += one.values()
    return values + [MISSING] * (len(NAMES) * (most - found))


def _content(one, b, payload):
    n = len(b)
    for i, c in enumerate(b[:KEPT]):
        one[f"byte{i + 1}"] = c
    if n >= 3:
        one["head"] = int.from_bytes(b[:3])
    printable = [0x20 <= c <= 0x7E for c in b]
    run = longest = 0
    for yes in printable:
        run = run + 1 if yes else 0
        longest = max(longest, run)
    counts = {}
    for c in b:
        counts[c] = counts.get(c, 0) + 1
    one["ones"], one["printable"] = sum(c.bit_count() for c in b) / n, sum(printable) / n
    one["run"], one["leading"] = longest, printable.index(False) if False in printable else n
    one["zeros"], one["distinct"] = counts.get(0, 0) / n, len(counts) / n
    one["entropy"] = ((_LOGS[n] - sum(_LOGS[c] for c in counts.values())) // n >> 4) / 4096
    one["rest"] = one["total"] = 0
    for at in range(min(7, n - 1)):
        field = int.from_bytes(b[at : at + 2])
        if not one["rest"] and field > 0 and field == payload - at - 2:
            one["rest"] = at + 1
        if not one["total"] and field == payload:
            one["total"] = at + 1


def _common(a, b):
    n = min(len(a), len(b), KEPT)
    if n == 0:
        return MISSING
    return next((i for i in range(n) if a[i] != b[i]), n)


def _hello(one, b):
    if len(b) > 43 and b[0] == 22 and b[1] == 3 and b[5] in (1, 2) and b[9] == 3 and b[43] <= 32:
        one["tls_version"], one["tls_session"] = b[10], b[43]


def _question(one, b, proto):
    if proto == TCP and len(b) >= 2:
        b = b[2:]
    if len(b) <= 12 or proto not in (TCP, UDP):
        return
    flags, questions, answers, authorities, additional = struct.unpack_from(">HHHHH", b, 2)
    if (flags >> 11 & 15) > 6 or flags & 0x40 or not 0 < questions <= 32 or answers > 256:
        return
    if authorities > 64 or additional > 64:
        return
    at, name, labels, longest, seen, kind = 12, 0, 0, 0, b"", 0
    while at < len(b):
        n = b[at]
        if n > 63:
            return
        at, name = at + 1, name + 1
        if n == 0:
            kind = int.from_bytes(b[at : at + 2]) if at + 2 <= len(b) else 0
            break
        name += n
        if name > 255:
            return
        labels, longest, seen, at = labels + 1, max(longest, n), seen + b[at : at + n], at + n
    digits = sum(0x30 <= c <= 0x39 for c in seen)
    upper = sum(0x41 <= c <= 0x5A for c in seen)
    usual = sum(0x61 <= c <= 0x7A or c in b"-_" for c in seen)
    size = max(len(seen), 1)
    one["dns_reply"], one["dns_answers"], one["dns_name"] = flags >> 15, min(answers, 255), min(name, 255)
    one["dns_longest"], one["dns_labels"], one["dns_digits"] = longest, max(labels, 1), digits / size
    one["dns_upper"], one["dns_odd"] = upper / size, (len(seen) - digits - upper - usual) / size
    one["dns_distinct"] = len(set(seen)) / size
    if kind:
        one["dns_type"] = kind
