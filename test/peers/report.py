"""What compare.py makes of its measurements."""

import statistics


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
        line["forest_over_it"] = over(rates(rows["serveflow's forest", batch]), rates(found))
        line |= {"cascade_over_it": over(cascade, rates(found)), "slow_over_it": over(slow, rates(found))}
        made["engines"].append(line | {"difference": max(f["difference"] for f in found)})
    return made


def write(r, out):
    """The report for people."""
    print(f"{r['bundle']}, {r['flows']} flows, {r['rounds']} rounds\n", file=out)
    table = [("flows per CPU second", "", "(min, max)", "cascade", "slow", "F1 macro", "labels as ours")]
    for line in r["peers"]:
        same = f"{line['same']} of {r['flows']}" if "same" in line else ""
        table.append((line["name"], *_rate(line), *_ratios(line), f"{line['f1_macro']:.3f}", same))
    _aligned(table, out)
    print(file=out)
    table = [("rows per CPU second", "batch", "", "(min, max)", "cascade", "slow", "forest", "differs by")]
    for line in r["engines"]:
        ratios = (*_ratios(line), _times(line["forest_over_it"]))
        table.append((line["name"], str(line["batch"]), *_rate(line), *ratios, f"{line['difference']:.1e}"))
    _aligned(table, out)
    print("\ncascade, slow and forest are how many times what stands in the row they do.", file=out)
    print(", ".join(f"{name} {version}" for name, version in r["versions"].items()), file=out)
    print(f"load averages before and after: {r['load'][0]:.1f}, {r['load'][1]:.1f}", file=out)


def _rate(line):
    s = line["per_cpu_s"]
    return f"{s['median']:,.0f}", f"({s['min']:,.0f}, {s['max']:,.0f})"


def _ratios(line):
    return _times(line["cascade_over_it"]), _times(line["slow_over_it"])


def _times(s):
    return f"{s['median']:.2f} ({s['min']:.2f}, {s['max']:.2f})"


def _aligned(table, out):
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
        print("  ".join(cells).rstrip(), file=out)
