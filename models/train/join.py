"""Joins data sets into one manifest and one list of flows, for a bundle of several.

    .venv/bin/python -m models.train.join --output build/joined \
        --captures build/lab/manifest.csv label --flows world/manifest.csv world/flows.csv \
        --rename bulk-tls=web

Of a data set of --captures every flow has the label of its capture; of one of
--flows a list says that of single flows. The output directory gets manifest.csv, which names
the captures with their split and source, and labels.toml, for the flag --labels
of serveflow extract, tune and eval. Labels may be renamed, those of one program
or detail as in remote-desktop/xrdp=rdp or other/LLMNR=dns, and left out, as in tls-relay= or,
of all details that begin so, other/TLS-*=.
"""

import argparse
import csv
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

COLUMNS = ["file", "split", "source"]
FLOW_COLUMNS = ["label", "community_id", "start"]


def rows(path: Path) -> Iterator[dict[str, str]]:
    with open(path, newline="") as f:
        yield from csv.DictReader(f)


def captures_of(manifest: Path, without: list[str]) -> Iterator[dict[str, str]]:
    """The captures of a manifest, by absolute paths, but for those of some sources."""
    for row in rows(manifest):
        if row.get("source") in without:
            continue
        path = (manifest.parent / row["file"]).resolve()
        yield {"file": str(path), "split": row["split"], "source": row.get("source", "")}


def called(names: dict[str, str], label: str, detail: str | None) -> str:
    """What a label is called in the bundle, by its detail before itself."""
    of_detail = f"{label}/{detail}"
    for pattern, name in names.items():
        if of_detail == pattern or (pattern.endswith("*") and "/" in pattern and of_detail.startswith(pattern[:-1])):
            return name
    return names.get(label, label)


def flows_of(program: str, manifest: Path, column: str, names: dict[str, str]) -> Iterator[dict[str, str]]:
    """The flows of captures that have one label each, as they are called in the bundle."""
    said = subprocess.run(
        [program, "replay", "--bundle", "channel", "--json", "--manifest", manifest, "--label", column],
        stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    program_of = {Path(row["file"]).name.removesuffix(".zst"): row.get("program") for row in rows(manifest)}
    for line in said.stdout.splitlines():
        flow = json.loads(line)
        label = called(names, flow["truth"], program_of[flow["capture"].removesuffix(".zst")])
        yield {"label": label, "community_id": flow["community_id"], "start": flow["ts"]}


def main() -> None:
    parser = argparse.ArgumentParser(description="Joins data sets into one manifest and one list of flows.")
    parser.add_argument(
        "--captures",
        nargs=2,
        action="append",
        default=[],
        metavar=("MANIFEST", "COLUMN"),
        help="a data set whose captures have one label, and its column",
    )
    parser.add_argument(
        "--flows",
        type=Path,
        nargs=2,
        action="append",
        default=[],
        metavar=("MANIFEST", "FLOWS"),
        help="a data set whose flows are listed",
    )
    parser.add_argument("--rename", action="append", default=[], metavar="LABEL=OTHER", help="name of a label in the bundle")
    parser.add_argument("--without", action="append", default=[], metavar="SOURCE", help="leave the captures of a source out")
    parser.add_argument("--program", default="bin/serveflow", help="serveflow (default %(default)s)")
    parser.add_argument("--output", type=Path, required=True, help="directory to write to")
    args = parser.parse_args()
    names = dict(pair.split("=", 1) for pair in args.rename)
    args.output.mkdir(parents=True, exist_ok=True)
    with (
        open(args.output / "manifest.csv", "w", newline="") as captures,
        open(args.output / "flows.csv", "w", newline="") as flows,
    ):
        listed, known = csv.DictWriter(captures, COLUMNS), csv.DictWriter(flows, FLOW_COLUMNS)
        listed.writeheader()
        known.writeheader()
        for manifest in [*(Path(m) for m, _ in args.captures), *(m for m, _ in args.flows)]:
            listed.writerows(captures_of(manifest, args.without))
        every = [flow for manifest, column in args.captures for flow in flows_of(args.program, Path(manifest), column, names)]
        for _, path in args.flows:
            for flow in rows(path):
                if flow.get("source") not in args.without:
                    flow["label"] = called(names, flow["label"], flow.get("detail"))
                    every.append({k: flow[k] for k in FLOW_COLUMNS})
        known.writerows(flow for flow in every if flow["label"])
    (args.output / "labels.toml").write_text('flows = ["flows.csv"]\n')


if __name__ == "__main__":
    main()
