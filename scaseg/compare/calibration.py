"""How far the confidence of predictions is from being right that often (Guo et al., ICML 2017)."""

import numpy as np
import numpy.typing as npt

from scaseg.data.labels import IGNORE, Mask

Floats = npt.NDArray[np.float64]


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
