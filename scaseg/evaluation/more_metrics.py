"""What a validation can tell besides mIoU, in percent; each means over the classes of the truth, as mIoU does."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scaseg.evaluation.regions import Counts, Floats, image_terms, mean_iou, mean_over_images

LOSS = "loss"
COLUMNS = {  # as asked for -> of metrics.csv
    "image": "val/image_mIoU",
    "worst": "val/worst_mIoU",
    "boundary": "val/boundary_IoU",
    "dice": "val/dice",
    "precision": "val/precision",
    "recall": "val/recall",
    LOSS: "val/loss",
}
BOUNDARY = 0.02  # share of the diagonal: Cheng et al., Boundary IoU, CVPR 2021


@dataclass(frozen=True)
class Counted:
    """Of N images: region and boundary (N, 3, K), as `region_counts` and `boundary_counts` have them."""

    region: Counts
    boundary: Counts | None = None


def more_metrics(asked: Sequence[str], counted: Counted) -> dict[str, float]:
    """By column, of what is asked; NaN of nothing.

    dice is F1; of two classes, it, precision and recall are the second one's. image, worst: see `image_terms`.
    """
    total = counted.region.sum(0).astype(np.float64)
    terms = image_terms(counted.region)
    found: dict[str, float] = {}
    for name in asked:
        match name:
            case "image" | "worst":
                value = float(mean_over_images(terms[name].sum(0))[0])
            case "boundary":
                assert counted.boundary is not None
                value = float(mean_iou(counted.boundary.sum(0).astype(np.float64)))
            case _:
                value = _mean(_by_class(total)[name], total[2] > 0)
        found[COLUMNS[name]] = value
    return found


def lines(told: Mapping[str, float | None]) -> Iterator[str]:
    """For people, a line each; told: by column, None for one of nothing."""
    for name, value in told.items():
        yield f"{name}: {'–' if value is None else f'{value:.4g}'}"


def _by_class(counts: Floats) -> Mapping[str, Floats]:
    both, predicted, truth = counts
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "dice": 200 * both / (predicted + truth),
            "precision": np.where(predicted > 0, 100 * both / predicted, 0.0),  # 0 where never predicted
            "recall": 100 * both / truth,
        }


def _mean(values: Floats, there: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> float:
    if len(values) == 2:
        return float(values[1]) if there[1] else float("nan")
    return float(values[there].mean()) if there.any() else float("nan")
