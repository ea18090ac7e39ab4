"""Confidence of predictions, and how far it is from being right that often (Guo et al., ICML 2017)."""

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from scaseg.data.labels import IGNORE, Mask

BAND_BYTES = 64 * 2**20
Floats = npt.NDArray[np.float64]


def confidence_at(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Highest softmax probability of logits (1, K, h, w) resized bilinearly to `size` -> (H, W), in bands of rows."""
    logits = logits.float()
    wide = F.interpolate(logits, size=(logits.shape[2], size[1]), mode="bilinear")
    rows, height = wide.shape[2], size[0]
    position = ((torch.arange(height, device=logits.device) + 0.5) * (rows / height) - 0.5).clamp(min=0)
    above = position.long().clamp(max=rows - 1)
    below = (above + 1).clamp(max=rows - 1)
    share = (position - above)[:, None]
    band = max(1, BAND_BYTES // (4 * wide.shape[1] * size[1]))
    parts = []
    for start in range(0, height, band):
        part = slice(start, start + band)
        resized = torch.lerp(wide[0].index_select(1, above[part]), wide[0].index_select(1, below[part]), share[part])
        # softmax of the largest logit: 1 / sum exp(other - largest)
        parts.append(torch.exp(resized.amax(0) - torch.logsumexp(resized, 0)))
    return torch.cat(parts)


def calibration_counts(confidence: npt.NDArray[np.float32], prediction: Mask, truth: Mask, bins: int) -> Floats:
    """(3, bins): pixels, sum of confidences and hits in each of `bins` equal intervals of confidence."""
    known = truth != IGNORE
    sure, hit = confidence[known].astype(np.float64), prediction[known] == truth[known]
    which = np.minimum((sure * bins).astype(np.int64), bins - 1)
    return np.stack([np.bincount(which, weights=x, minlength=bins) for x in (np.ones_like(sure), sure, hit)])


def expected_calibration_error(counts: Floats) -> Floats:
    """(..., 3, bins) -> percent: mean distance of confidence and accuracy over the bins, weighed by their pixels."""
    pixels, sure, hits = counts[..., 0, :], counts[..., 1, :], counts[..., 2, :]
    error: Floats = 100 * np.abs(sure - hits).sum(-1) / pixels.sum(-1)
    return error
