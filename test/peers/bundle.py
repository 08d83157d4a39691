"""Reads what the peers need of a bundle: its stages, for taps that see headers."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

MASKS = {"addresses", "checksums", "identifiers", "tcp_sequence", "tcp_timestamps", "ephemeral_ports"}


@dataclass
class Stage:
    packets: int
    path: Path
    thresholds: list
    columns: list


@dataclass
class Bundle:
    name: str  # and version
    labels: list
    quiet: float  # s
    stages: list


def read(directory):
    directory = Path(directory)
    manifest = tomllib.loads((directory / "manifest.toml").read_text())
    features, labels = manifest["features"], manifest["labels"]
    if set(features["masks"]) != MASKS:
        raise ValueError(f"{directory}: the peers know features with all masks alone")
    stages = []
    for s in manifest["packet"]["stage"]:
        if s["kind"] != "lightgbm" or s["confidence"] != "max_probability":
            raise ValueError(f"{directory}: stage {s['name']}: the peers know trees and max_probability alone")
        thresholds = s["thresholds"] if len(s["thresholds"]) > 1 else s["thresholds"] * len(labels)
        path = directory / s["model"]
        stages.append(Stage(s["packets"], path, thresholds, columns(path.read_text())))
    return Bundle(f"{manifest['name']} {manifest['version']}", labels, features["quiet"], stages)


def columns(text):
    """The columns of a LightGBM text."""
    return re.search(r"^feature_names=(.*)$", text, re.MULTILINE).group(1).split()
