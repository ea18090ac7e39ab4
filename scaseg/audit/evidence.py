"""What a model says about a mask, pixel by pixel, and the score of a whole image after Lad and Mueller.

V. Lad, J. Mueller: Estimating label quality and errors in semantic segmentation data via any model (2023): a pixel's
self-confidence is the probability that the model gives the class which the mask has there; the softmin of all of them
scores the image, low where some pixels are denied.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from scaseg.data.labels import IGNORE, Mask
from scaseg.evaluation.row_bands import BAND_BYTES, Rows

TEMPERATURE = 0.1  # the paper's, of the softmin
Floats = npt.NDArray[np.float32]


class Evidence(NamedTuple):
    """Of one image (H, W): the class that the model sees, its probability, and that of the mask's own class.

    own is 1 where the mask says nothing (IGNORE).
    """

    seen: Mask
    confidence: Floats
    own: Floats


@torch.inference_mode()
def evidence(source: Rows, mask: Mask) -> Evidence:
    """Of what decides about one image (1, K, H, W), band by band, and its mask (H, W)."""
    _, classes, height, width = source.shape
    rows = max(1, BAND_BYTES // (4 * classes * width))
    given = torch.from_numpy(mask.astype(np.int64))
    parts = []
    for start in range(0, height, rows):
        band = source.rows(start, min(height, start + rows))[0]
        probability = band if source.probable else band.softmax(0)
        confidence, seen = probability.max(0)
        asked = given[start : start + rows].to(band.device)
        own = probability.gather(0, asked.clamp_max(classes - 1)[None])[0].masked_fill(asked == IGNORE, 1.0)
        parts.append([seen.to(torch.uint8).cpu(), confidence.cpu(), own.cpu()])
    return Evidence(*(torch.cat(part).numpy() for part in zip(*parts, strict=True)))


def softmin(own: Floats, known: npt.NDArray[np.bool_]) -> float:
    """Of the self-confidences of the pixels that are labelled, their mean weighed by softmax((1 - own) / TEMPERATURE).

    1.0 where none is labelled. In float64.
    """
    values = own[known].astype(np.float64)
    if not len(values):
        return 1.0
    weights = np.exp((values.min() - values) / TEMPERATURE)  # a common factor of the softmax is left out
    return float((values * weights).sum() / weights.sum())
