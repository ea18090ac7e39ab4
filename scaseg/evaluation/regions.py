"""IoU of counts that add up over images, in percent: of a set, of each image, of the images it is worst on."""

from math import ceil

import numpy as np
import numpy.typing as npt

from scaseg.data.labels import IGNORE, Mask
from scaseg.evaluation.protocol import MeanOver

Counts = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
WORST = 0.1  # share of the images


def region_counts(prediction: Mask, truth: Mask, classes: int, where: Flags | None = None) -> Counts:
    """Train ids (H, W) -> (3, K): pixels that both have, the prediction's, the truth's; of `where`, or of all.

    Pixels that the truth ignores count nowhere.
    """
    known = truth != IGNORE if where is None else (truth != IGNORE) & where
    p, t = prediction[known], truth[known]
    return np.stack([np.bincount(x, minlength=classes)[:classes] for x in (t[p == t], p, t)]).astype(np.int64)


def class_iou(counts: Floats, mean_over: MeanOver = MeanOver.truth) -> Floats:
    """(..., 3, K) -> (..., K) percent; NaN for a class that takes no part in the mean (see evaluation.metrics)."""
    both, predicted, truth = counts[..., 0, :], counts[..., 1, :], counts[..., 2, :]
    labelled = truth.sum(-1, keepdims=True) > 0
    counted = truth > 0 if mean_over is MeanOver.truth else labelled & (truth + predicted > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        iou: Floats = np.where(counted, 100 * both / (predicted + truth - both), np.nan)
    return iou


def mean_iou(counts: Floats, mean_over: MeanOver = MeanOver.truth) -> Floats:
    """(..., 3, K) -> (...) percent, over the classes that count; NaN where none does."""
    iou = class_iou(counts, mean_over)
    there = ~np.isnan(iou)
    number = there.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: Floats = np.where(number > 0, np.where(there, iou, 0).sum(-1) / number, np.nan)
    return mean


def pixel_accuracy(counts: Floats) -> Floats:
    """(..., 3, K) -> (...) percent; NaN where the truth has no pixel."""
    with np.errstate(invalid="ignore"):
        accuracy: Floats = 100 * counts[..., 0, :].sum(-1) / counts[..., 2, :].sum(-1)
    return accuracy


def image_terms(counts: Counts) -> dict[str, Floats]:
    """Counts (N, 3, K) -> `image` and `worst`, (N, 2) each: sums of the first over sums of the second are the figures.

    image: mIoU of each image over the classes of its truth, mIoU^I of Wang et al., Revisiting evaluation metrics for
    semantic segmentation, NeurIPS 2023. worst: the mean of the lowest tenth of these (their mIoU^I_q; at least one),
    as the terms t + min(x - t, 0) / q of Rockafellar and Uryasev (2000), whose mean it is: t, the tenth's border,
    stays as it is where an image is left out, which changes that mean to second order alone.
    """
    values = mean_iou(counts.astype(np.float64))
    there = ~np.isnan(values)
    known = np.where(there, values, 0.0)
    number = int(there.sum())
    below = known
    if number:
        share = max(WORST, 1 / number)
        border = np.sort(values[there])[ceil(share * number - 1e-9) - 1]
        below = np.where(there, border + np.minimum(known - border, 0) / share, 0.0)
    return {name: np.stack([terms, there], -1) for name, terms in (("image", known), ("worst", below))}


def mean_over_images(terms: Floats) -> Floats:
    """Sums of image_terms (..., 2) -> (..., 1); NaN of no image."""
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: Floats = (terms[..., 0] / terms[..., 1])[..., None]
    return mean
