"""mIoU and its kin, all from one int64 confusion matrix over the whole set."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scaseg.aligned import aligned
from scaseg.evaluation.protocol import MeanOver


def confusion_matrix(prediction: Tensor, target: Tensor, num_classes: int) -> Tensor:
    """Counts (K, K) int64, rows the truth, columns the prediction; pixels whose target is ignored are left out.

    prediction and target: integers of one shape; prediction in 0..K-1, target in 0..K-1 or IGNORE (255).
    """
    # An extra row takes the ignored pixels: selecting the others by mask would cost more than the count itself.
    row = target.to(torch.int32).clamp(max=num_classes).flatten()
    bins = torch.add(prediction.to(torch.int32).flatten(), row, alpha=num_classes)
    counts = torch.bincount(bins, minlength=(num_classes + 1) * num_classes)
    return counts.view(num_classes + 1, num_classes)[:num_classes]


@dataclass(frozen=True)
class Scores:
    """Figures in percent; NaN where there is nothing to score: of a class without a pixel, of a set without a label."""

    iou: list[float]
    accuracy: list[float]
    pixels: list[int]
    mean_iou: float
    mean_accuracy: float
    pixel_accuracy: float
    absent: list[int]  # classes that take no part in the mean IoU
    thresholds: tuple[float, ...] = ()  # of the last classes' probabilities, where figures are at thresholds


def scores(matrix: Tensor, mean_over: MeanOver = MeanOver.truth) -> Scores:
    """Scores of a confusion matrix (K, K), rows the truth.

    mIoU is the mean over the classes that occur in the truth: an absent class would count as 0 or as nothing,
    depending on a single predicted pixel. Over the union, as mmsegmentation and Cityscapes' program have it, it does.
    """
    counts = matrix.double().cpu()
    hits, truth, predicted = counts.diagonal(), counts.sum(1), counts.sum(0)
    iou = 100 * hits / (truth + predicted - hits)
    accuracy = 100 * hits / truth
    counted = truth > 0 if mean_over is MeanOver.truth else truth + predicted > 0
    return Scores(
        iou=iou.tolist(),
        accuracy=accuracy.tolist(),
        pixels=[int(n) for n in matrix.sum(1)],
        mean_iou=float(iou[counted].mean()) if truth.sum() else float("nan"),
        mean_accuracy=float(accuracy[truth > 0].mean()),
        pixel_accuracy=float(100 * hits.sum() / truth.sum()),
        absent=[i for i, there in enumerate(counted.tolist()) if not there],
    )


def table(result: Scores, names: Sequence[str]) -> str:
    """Per-class IoU as aligned text, absent classes named."""
    total = max(1, sum(result.pixels))
    rows = [["class", "IoU", "acc.", "share"]]
    for i, name in enumerate(names):
        if i in result.absent:
            rows.append([name, "-", "-", "-", "absent: not in the mean"])
        else:
            share = f"{100 * result.pixels[i] / total:.1f}"
            rows.append([name, _cell(result.iou[i]), _cell(result.accuracy[i]), share])
    rows.append(["mean", _cell(result.mean_iou), _cell(result.mean_accuracy)])
    rows.append(["pixel accuracy", "", _cell(result.pixel_accuracy)])
    thresholds = zip(names[len(names) - len(result.thresholds) :], result.thresholds, strict=True)
    return "\n".join([aligned(rows), *(f"{name}: from a probability of {value:.4g} on" for name, value in thresholds)])


def _cell(value: float) -> str:
    return "-" if value != value else f"{value:.2f}"
