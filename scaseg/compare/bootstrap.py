"""Confidence intervals of measures of a whole set, by drawing its images anew (Efron, 1979)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Statistics = Mapping[str, npt.NDArray[np.float64] | npt.NDArray[np.int64]]  # name -> (images, ...)
Measure = Callable[[Mapping[str, Floats]], Floats]  # of summed statistics (..., ...) -> (...)
AT_ONCE = 64  # resamples whose sums are held together


@dataclass(frozen=True)
class Interval:
    """A value and its confidence interval over images: what training again would change is not in it."""

    value: float
    low: float
    high: float


def weights(images: int, resamples: int, seed: int) -> npt.NDArray[np.float64]:
    """(resamples, images): how often each resample of as many images has each image."""
    generator = np.random.default_rng(seed)
    share = np.full(images, 1 / images)
    return generator.multinomial(images, share, size=resamples).astype(np.float64)


def resampled(statistics: Statistics, measure: Measure, drawn: Floats) -> Floats:
    """The measure of every resample (resamples,); models given the same `drawn` are compared image by image."""
    found = []
    for start in range(0, len(drawn), AT_ONCE):
        part = drawn[start : start + AT_ONCE]
        found.append(measure({name: np.tensordot(part, values, 1) for name, values in statistics.items()}))
    return np.concatenate(found)


def total(statistics: Statistics, measure: Measure) -> float:
    """The measure of all images, each once."""
    return float(measure({name: values.sum(0, dtype=np.float64) for name, values in statistics.items()}))


def interval(value: float, samples: Floats, level: float) -> Interval:
    """Percentile interval; NaN where the value is, and resamples without a value (no pixel of the kind) left out."""
    kept = samples[~np.isnan(samples)]
    if np.isnan(value) or not len(kept):
        return Interval(float("nan"), float("nan"), float("nan"))
    low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))
