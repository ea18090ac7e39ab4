"""Confidence of predictions, and how far it is from being right that often (Guo et al., ICML 2017)."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scaseg.data.labels import IGNORE, Mask
from scaseg.evaluation.row_bands import BAND_BYTES, Rows, Views

Floats = npt.NDArray[np.float64]


def labels_and_confidence(source: Rows) -> tuple[Tensor, Tensor]:
    """The class with the highest score and its probability (B, H, W), band by band; arguments as of `best_class`."""
    batch, classes, height, width = source.shape
    rows = max(1, BAND_BYTES // (4 * batch * classes * width))
    labels, confidence = [], []
    for start in range(0, height, rows):
        band = source.rows(start, min(height, start + rows))
        highest, label = band.max(1)
        labels.append(label.to(torch.uint8))
        # of logits the softmax of the largest: exp(largest - logsumexp); views are probabilities already
        confidence.append(highest if isinstance(source, Views) else torch.exp(highest - band.logsumexp(1)))
    return torch.cat(labels, 1), torch.cat(confidence, 1)


def calibration_counts(confidence: npt.NDArray[np.float32], prediction: Mask, truth: Mask, bins: int) -> Floats:
    """(3, bins): pixels, sum of confidences and hits in each of `bins` equal intervals of confidence."""
    known = truth != IGNORE
    sure, hit = confidence[known].astype(np.float64), prediction[known] == truth[known]
    which = np.minimum((sure * bins).astype(np.int64), bins - 1)
    return np.stack([np.bincount(which, weights=x, minlength=bins) for x in (np.ones_like(sure), sure, hit)])


def expected_calibration_error(counts: Floats) -> Floats:
    """(..., 3, bins) -> percent: mean distance of confidence and accuracy over the bins, weighed by their pixels.

    NaN where there is none.
    """
    pixels, sure, hits = counts[..., 0, :], counts[..., 1, :], counts[..., 2, :]
    with np.errstate(invalid="ignore"):
        error: Floats = 100 * np.abs(sure - hits).sum(-1) / pixels.sum(-1)
    return error
