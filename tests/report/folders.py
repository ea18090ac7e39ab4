import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scaseg.config import compose, run_config
from scaseg.evaluation.regions import class_iou
from scaseg.runs.counts import ImageCounts, write_counts
from scaseg.statistics.crossed import Statistics
from scaseg.typed import to_plain


def run_folder(root: Path, name: str, miou: float, *overrides: str, **result: Any) -> Path:
    """A finished run as training leaves it, as far as a report reads it."""
    config = run_config(compose("train", list(overrides)))
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("")
    finished = {
        "status": "done",
        "run": name,
        "dataset": config.dataset.name,
        "backbone": config.backbone.name,
        "decoder": config.decoder.name,
        "seed": config.seed,
        "config": to_plain(config),
        "mIoU": miou,
        "per_class": {f"class {i}": {"iou": miou} for i in range(8)},
        "params": 4_000_000,
    }
    (folder / "result.json").write_text(json.dumps({**finished, **result}))
    return folder


def with_counts(root: Path, name: str, runs: Sequence[Statistics], *overrides: str) -> None:
    """Runs of seeds 0, 1, ... with counts of each image; of images a_0, a_1, b_2, ..."""
    for seed, statistics in enumerate(runs):
        region = np.round(statistics["region"]).astype(np.int64)
        miou = float(class_iou(region.sum(0).astype(np.float64)).mean())
        folder = run_folder(root, f"{name}{seed}", miou, f"seed={seed}", *overrides)
        names = tuple(f"{'abcde'[i // 10]}_{i}" for i in range(len(region)))
        write_counts(folder, ImageCounts(names, region))
