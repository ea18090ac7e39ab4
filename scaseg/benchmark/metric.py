"""Cost of one confusion-matrix update, beside torchmetrics' JaccardIndex and a plain bincount."""

from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import torch
from torchmetrics.classification import MulticlassJaccardIndex

from scaseg.benchmark.measurement import Row
from scaseg.benchmark.options import BenchmarkConfig
from scaseg.complexity.latency import Spread, interleaved
from scaseg.data.build import num_classes
from scaseg.data.labels import IGNORE
from scaseg.evaluation.counter import ConfusionMatrix
from scaseg.schema import Run


def rows(cfg: BenchmarkConfig, run: Run) -> list[Row]:
    """A 512 x 512 prediction with a tenth of its pixels ignored; classes of the configured dataset."""
    torch.set_num_threads(run.hardware.threads or 1)
    classes = num_classes(run.dataset, run.data_dir)
    generator = torch.Generator().manual_seed(0)
    prediction = torch.randint(0, classes, (1, 512, 512), generator=generator)
    target = torch.randint(0, classes, (1, 512, 512), generator=generator)
    target[torch.rand(target.shape, generator=generator) < 0.1] = IGNORE
    small = target.to(torch.uint8)
    ours = ConfusionMatrix(classes)
    theirs = MulticlassJaccardIndex(classes, ignore_index=IGNORE, average="none", validate_args=False)

    def bincount() -> Any:
        keep = target != IGNORE
        return torch.bincount(target[keep] * classes + prediction[keep], minlength=classes**2)

    device = torch.device("cpu")
    pair = interleaved(
        lambda: theirs.update(prediction, target), lambda: ours.update(prediction, small), device, 3, cfg.rounds
    )
    plain = interleaved(bincount, lambda: ours.update(prediction, small), device, 3, cfg.rounds)
    return [
        Row(f"ConfusionMatrix.update, 512 x 512, {classes} classes", "ms", _ms(pair.b), "at most 2 ms on one core"),
        Row("torchmetrics MulticlassJaccardIndex.update / ours", "x", pair.ratio),
        Row("torch.bincount of the unmasked pixels / ours", "x", plain.ratio),
    ]


def _ms(seconds: Spread) -> Spread:
    return Spread(seconds.median * 1e3, seconds.lower * 1e3, seconds.upper * 1e3, seconds.rounds)
