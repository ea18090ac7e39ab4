"""What a configuration asks for: the run's name, its data, and fingerprints of the files that determine its result."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from scaseg.config import run_config, run_name
from scaseg.data import fingerprint
from scaseg.data.build import build_source
from scaseg.data.source import Source
from scaseg.errors import UserError
from scaseg.runs.folder import CHECKPOINTS, checkpoint_of, weights_of


@dataclass(frozen=True)
class Asked:
    """name: of the run's folder. config: plain dicts, with `fingerprints`. train: None for a run of no steps."""

    name: str
    config: dict[str, Any]
    train: Source | None
    val: Source


def asked(cfg: DictConfig) -> Asked:
    """Find the data and weights of a checked configuration; UserError where they are not there or not right."""
    config = _with_files(run_config(cfg))
    dataset, data_dir = config["dataset"], config["data_dir"]
    splits = ("train", "val") if config["training"]["max_steps"] else ("val",)
    sources = {split: build_source(dataset, data_dir, dataset[f"{split}_split"]) for split in splits}
    for split, source in sources.items():
        if not source.labelled:
            named = dataset[f"{split}_split"]
            raise UserError(f"dataset.{split}_split={named} has no masks: choose another split of {dataset['name']}")
    data = {"classes": fingerprint.of_classes(sources["val"].labels)}
    data |= {split: fingerprint.of_split(source) for split, source in sources.items()}
    return Asked(_identified(config, data), config, sources.get("train"), sources["val"])


def name_of(cfg: DictConfig, known: dict[str, dict[str, str]]) -> str:
    """The name alone. known: fingerprints of data by what asks for them, filled here: jobs of a sweep share theirs."""
    config = _with_files(run_config(cfg))
    question = json.dumps([config["dataset"], config["data_dir"], config["training"]["max_steps"] == 0])
    if question not in known:
        found = asked(cfg).config["fingerprints"]
        known[question] = {key: found[key] for key in ("classes", "train", "val") if key in found}
    return _identified(config, known[question])


def _with_files(config: dict[str, Any]) -> dict[str, Any]:
    """A run's folder, given as weights or as a start, stands for the checkpoint in it."""
    weights, start = config["decoder"].get("weights"), config["ckpt_path"]
    if weights and Path(weights).expanduser().is_dir():
        config["decoder"]["weights"] = str(weights_of(weights, "decoder.weights"))
    if start not in ("auto", "last", None):
        config["ckpt_path"] = str(checkpoint_of(start, "ckpt_path"))
    return config


def _identified(config: dict[str, Any], data: Mapping[str, str]) -> str:
    """Put fingerprints of data, weights and checkpoint into the configuration; the name of its run.

    What an address or the hub holds is known by its name. A checkpoint to go on from is part of what a run is, unless
    it is the run's own.
    """
    files = {f"{part}.weights": config[part].get("weights") for part in ("backbone", "decoder")}
    weights = {key: fingerprint.of_file(path) for key, path in files.items() if path and Path(path).is_file()}
    config["fingerprints"] = {**data, **weights}
    name, start = run_name(config), Path(config["ckpt_path"] or "auto")
    own = Path(config["output_dir"], name, CHECKPOINTS)
    if str(start) not in ("auto", "last") and start.is_file() and start.resolve().parent != own.resolve():
        config["fingerprints"]["ckpt_path"] = fingerprint.of_file(start)
        name = run_name(config)
    return name
