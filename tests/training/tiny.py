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

from scaseg.config import compose, run_config
from scaseg.runs.asked import asked
from scaseg.schema import Run
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


def config(output_dir: Path, *overrides: str) -> Run:
    base = [] if any(option.startswith("dataset=") for option in overrides) else TINY
    return run_config(compose("train", [*base, f"output_dir={output_dir}", *overrides]))


def folder_of(cfg: Run) -> Path:
    return asked(cfg).folder


def run(cfg: Run, *callbacks: Callback) -> dict[str, Any]:
    """Train in this process, as scaseg.train does."""
    from scaseg.training.run import train

    return train(asked(cfg), callbacks)


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


def own(root: Path, seed: int = 0, ids: tuple[int, int, int] = (0, 1, 2), names: str = "abc") -> Path:
    """A data set of one's own: eight pairs of 32 x 64, stripes of three ids, two of them val; noise by `seed`."""
    generator = np.random.default_rng(seed)
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    (root / "classes.yaml").write_text("".join(f"- {name}\n" for name in names))
    stripes = np.arange(64) * 3 // 64
    for n in range(8):
        image = np.repeat((stripes * 80)[None, :, None], 32, 0) + generator.integers(0, 30, (32, 64, 3))
        cv2.imwrite(str(root / f"images/{n}.png"), image.astype(np.uint8))
        cv2.imwrite(str(root / f"masks/{n}.png"), np.repeat(np.array(ids, np.uint8)[stripes][None], 32, 0))
    (root / "train.txt").write_text("".join(f"{n}\n" for n in range(6)))
    (root / "val.txt").write_text("6\n7\n")
    return root


def on_own(root: Path) -> list[str]:
    """TINY's model and steps on such a data set."""
    options = [option for option in TINY if not option.startswith("dataset.")]
    return ["dataset=folder", f"data_dir={root}", "augment.resize_box=null", "protocol.box=null", *options]


def on_camvid(root: Path) -> list[str]:
    """TINY's model and steps on a dataset of files."""
    return ["dataset=camvid", f"data_dir={root}", *(option for option in TINY if not option.startswith("dataset."))]
