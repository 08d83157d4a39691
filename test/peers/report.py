"""What compare.py makes of its measurements."""

import statistics

FOREST = "serveflow's forest"


def f1_macro(truth, given):
    """As package evaluate: the mean over the classes that occur in the truth."""
    scores = []
    for c in set(truth):
        right = sum(t == g == c for t, g in zip(truth, given, strict=True))
        scores.append(2 * right / (truth.count(c) + given.count(c)))
    return statistics.fmean(scores)


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def over(one, other):
    """How many times the other one is, each pair of the same round."""
    return spread([a / b for a, b in zip(one, other, strict=True)])


def make(peers, rows):
    """The report of all rounds; peers and rows are what was found by contender."""

    def rates(found):
        return [f["rate"] for f in found]

    cascade, slow = rates(peers["serveflow, cascade"]), rates(peers["serveflow, slow"])
    made = {"peers": [], "engines": []}
    for name, found in peers.items():
        line = {"name": name, "per_cpu_s": spread(rates(found))}
        line |= {"cascade_over_it": over(cascade, rates(found)), "slow_over_it": over(slow, rates(found))}
        made["peers"].append(line | {key: found[0][key] for key in ("f1_macro", "same") if key in found[0]})
    for (name, batch), found in rows.items():
        line = {"name": name, "batch": batch, "per_cpu_s": spread(rates(found))}
        line["forest_over_it"] = over(rates(rows[FOREST, batch]), rates(found))
        line |= {"cascade_over_it": over(cascade, rates(found)), "slow_over_it": over(slow, rates(found))}
        made["engines"].append(line | {"difference": max(f["difference"] for f in found)})
    return made


def write(r, out):
    """The report for people, in Markdown: as it stands in docs/measurements/performance.md."""
    versions = ", ".join(f"{name} {version}" for name, version in r["versions"].items())
    rounds = f"medians of {r['rounds']} rounds (least–most)" if r["rounds"] > 1 else "one round"
    print(f"{r['bundle']} on {r['flows']:,} flows, {rounds}.", file=out)
    print(f"{versions}. Load averages before and after: {r['load'][0]:.1f}, {r['load'][1]:.1f}.\n", file=out)
    table = [("", "flows per CPU second", "cascade does", "slow model does", "F1 macro")]
    for line in r["peers"]:
        table.append((line["name"], _rate(line), *_ratios(line), _short(line["f1_macro"], 3)))
    _table(table, out)
    for line in r["peers"]:
        if "same" in line:
            print(f"\nLabels of the {line['name']}: {line['same']:,} of {r['flows']:,} are the sidecar's.", file=out)
    print(file=out)
    head = ("the slow model alone", "batch", "rows per CPU second", "forest does")
    table = [(*head, "whole sidecar does, cascade", "slow", "differs by")]
    for line in r["engines"]:
        forest = "" if line["name"] == FOREST else _times(line["forest_over_it"])
        difference = f"{line['difference']:.0e}"
        table.append((line["name"], str(line["batch"]), _rate(line), forest, *_ratios(line), difference))
    _table(table, out)


def _rate(line):
    return _spread(line["per_cpu_s"], lambda rate: f"{float(f'{rate:.3g}'):,.0f}")


def _ratios(line):
    """How many times it the sidecar does; nothing where it is the sidecar's own figure."""
    for mode in "cascade", "slow":
        yield "" if line["name"] == f"serveflow, {mode}" else _times(line[f"{mode}_over_it"])


def _times(s):
    return _spread(s, lambda ratio: f"{ratio:.0f}" if ratio >= 10 else _short(ratio, 1 if ratio >= 1 else 2))


def _spread(s, text):
    few = s["min"] == s["max"]
    return text(s["median"]) + ("" if few else f" ({text(s['min'])}–{text(s['max'])})")


def _short(number, digits):
    return f"{number:.{digits}f}".removeprefix("0")


def _table(table, out):
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    table = [table[0], ["-" * w for w in widths], *table[1:]]
    for row in table:
        cells = [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
        print(f"| {' | '.join(cells)} |", file=out)
