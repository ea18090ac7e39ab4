"""Mean and deviation over seeds, and what a difference between two groups of seeds supports."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np
from scipy.special import stdtrit  # quantiles of Student's t

from scaseg.statistics.crossed import of_seeds, together


@dataclass(frozen=True)
class Summary:
    """Of n values; std is the sample standard deviation (n - 1), None for one value."""

    mean: float
    std: float | None
    n: int

    @property
    def numbers(self) -> tuple[float, float | None, int]:
        """Mean, deviation, n."""
        return self.mean, self.std, self.n

    def text(self) -> str:
        """`41.60 ± 0.25 (n = 3)`."""
        deviation = "" if self.std is None else f" ± {self.std:.2f}"
        return f"{self.mean:.2f}{deviation} (n = {self.n})"


@dataclass(frozen=True)
class Difference:
    """mean(a) - mean(b); low and high bound its 95 % confidence interval, None where a group is too small.

    paired: whether the same seeds were compared, one by one; else it is Welch's interval.
    """

    mean: float
    low: float | None
    high: float | None
    paired: bool

    @property
    def numbers(self) -> tuple[float, float | None, float | None]:
        """The difference and its bounds."""
        return self.mean, self.low, self.high

    def text(self) -> str:
        """`+1.20 [+0.30, +2.10]`."""
        interval = "" if self.low is None else f" [{self.low:+.2f}, {self.high:+.2f}]"
        return f"{self.mean:+.2f}{interval}"


def summarise(values: Sequence[float]) -> Summary:
    """Of at least one value."""
    return Summary(fmean(values), stdev(values) if len(values) > 1 else None, len(values))


def difference(a: Mapping[int, float], b: Mapping[int, float]) -> Difference:
    """Of two groups, seed -> value: paired by seed where both have the same seeds."""
    mean = fmean(a.values()) - fmean(b.values())
    paired = a.keys() == b.keys()
    if min(len(a), len(b)) < 2:
        return Difference(mean, None, None, paired)
    groups = [[a[seed] - b[seed] for seed in a]] if paired else [list(a.values()), list(b.values())]
    variance = together([of_seeds(np.array(values)) for values in groups])
    half = float(stdtrit(variance.freedom, 0.975)) * math.sqrt(variance.value)
    return Difference(mean, mean - half, mean + half, paired)
