"""A run that takes seconds: a small model on small scenes, every kind of randomness on."""

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import cv2
import numpy as np
import pytest
from lightning.pytorch import Callback
from omegaconf import DictConfig

from scaseg.config import compose, run_config, run_name
from scaseg.data.build import build_source
from tests.conftest import ROOT

TINY = [
    "dataset.size=[32,64]",
    "dataset.length=11",  # odd, and no multiple of the batch: epochs end within a batch
    "augment.crop_size=[32,64]",
    "backbone.channels=[8,16,40,32]",
    "backbone.depths=[1,1,1,1]",
    "decoder.embed_channels=16",
    "training.max_steps=8",
    "training.batch_size=4",
    "training.warmup_steps=2",
    "training.val_every=4",
    "training.checkpoint_every=3",
    "training.log_every=2",
    "hardware.accelerator=cpu",
    "hardware.num_workers=0",
    "hardware.threads=1",
    "hardware.eval_batch_size=4",
    "pictures=2",
]
# Raised inside Lightning by torch 2.13, about Lightning's own code; about workers, by Lightning on small machines.
QUIET = [
    pytest.mark.filterwarnings("ignore:.*treespec, LeafSpec.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
]


def config(output_dir: Path, *overrides: str) -> DictConfig:
    return compose("train", [*TINY, f"output_dir={output_dir}", *overrides])


def folder_of(cfg: DictConfig) -> Path:
    return Path(cfg.output_dir) / run_name(cfg)


def run(cfg: DictConfig, *callbacks: Callback) -> dict[str, Any]:
    """Train in this process, as scaseg.train does."""
    from scaseg.training.run import train

    plain = run_config(cfg)
    dataset = plain["dataset"]
    sources = [build_source(dataset, plain["data_dir"], dataset[f"{use}_split"]) for use in ("train", "val")]
    return train(plain, run_name(cfg), sources[0], sources[1], tuple(callbacks))


def command(output_dir: Path, *overrides: str) -> list[str]:
    """The same run as a command."""
    return [sys.executable, "-m", "scaseg.train", *TINY, f"output_dir={output_dir}", *overrides]


def execute(arguments: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    options = {"cwd": ROOT, "stdin": subprocess.DEVNULL, "timeout": 500, **options}
    return subprocess.run(arguments, capture_output=True, text=True, check=False, **options)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def camvid(root: Path, count: int = 5) -> Path:
    """A small CamVid of noise: `count` images a split, named a, b, c, ..."""
    generator = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for folder in (split, f"{split}annot"):
            (root / folder).mkdir(parents=True)
        for name in "abcdefgh"[:count]:
            image = generator.integers(0, 255, (40, 64, 3), np.uint8)
            cv2.imwrite(str(root / split / f"{name}.jpg"), image)
            cv2.imwrite(str(root / f"{split}annot" / f"{name}.png"), generator.integers(0, 12, (40, 64), np.uint8))
    return root


def on_camvid(root: Path) -> list[str]:
    """TINY's model and steps on a dataset of files."""
    return ["dataset=camvid", f"data_dir={root}", *(option for option in TINY if not option.startswith("dataset."))]
