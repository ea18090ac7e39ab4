"""How many seeds and images a claim takes: the power of the test by `crossed.estimate` of two models' difference.

Under a true difference its statistic has, nearly, the noncentral t distribution (Cohen, Statistical power analysis for
the behavioral sciences, 1988), with the variances measured so far in place of the true ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import inf, isnan, sqrt

import numpy as np
from scipy.special import chdtri, nctdtr, ndtr, stdtrit

from scaseg.statistics.crossed import Sample, Variance, freedom_of, of_images


@dataclass(frozen=True)
class Spread:
    """How figures vary. seed: variance of one seed's figure. images, luck: of the difference of two models over other
    images, as many as were measured: what all seeds share, and what each seed of both has for itself; None where
    nothing is known of it. groups: of images that depend on each other, as measured.
    """

    seed: Variance
    images: Variance | None
    luck: float
    groups: int

    def power(self, difference: float, seeds: int, level: float, times: float = 1.0, comparisons: int = 1) -> float:
        """The chance of claiming a true difference, with so many seeds a model and `times` the images.

        comparisons: so many are made; the first of Holm's steps is reckoned with.
        """
        luck = self.luck / seeds / times
        alone = max(0.0, self.seed.value - self.luck / 2)  # what a seed changes over all images there could be
        parts = [Variance(2 * alone / seeds + luck, 2 * (seeds - 1))]
        if self.images is not None:
            freedom = min(self.images.freedom * times, max(1.0, self.groups * times - 1))
            parts.append(Variance(self.images.value / times + luck, freedom))
        parts = [part for part in parts if part.value > 0]
        if not parts:
            return 1.0
        reckoned = sum(part.value for part in parts)  # by `estimate`, which has the luck in both of its parts
        true = reckoned - luck * (self.images is not None)
        freedom, shift = freedom_of(parts), abs(difference) / sqrt(true)
        border = float(stdtrit(freedom, 1 - (1 - level) / comparisons / 2)) * sqrt(reckoned / true)
        power = 1 - float(nctdtr(freedom, shift, border))
        return float(ndtr(shift - border)) if isnan(power) else power  # far out, where scipy's series ends

    def seeds_for(
        self, difference: float, power: float, level: float, times: float = 1, comparisons: int = 1, most: int = 1000
    ) -> int:
        """The fewest, two at least, that have this power; 0 where `most` do not."""
        enough = (n for n in range(2, most + 1) if self.power(difference, n, level, times, comparisons) >= power)
        return next(enough, 0)

    def bounds(self, level: float) -> tuple["Spread", "Spread"]:
        """The same with the least and the most variance of a seed that the figures leave likely, by chi-squared."""
        freedom = self.seed.freedom
        tails = [float(chdtri(freedom, tail)) for tail in ((1 - level) / 2, (1 + level) / 2)]
        values = [self.seed.value * freedom / tail if tail > 0 else inf for tail in tails]
        low, high = (replace(self, seed=Variance(value, freedom)) for value in values)
        return low, high


def spread(samples: Sequence[Sample], over_images: bool) -> Spread:
    """Pooled over at least two models' figures on the same images, of which one has two seeds or more."""
    several = [one for one in samples if len(one.values) > 1]
    freedom = sum(len(one.values) - 1 for one in several)
    seed = sum(float(one.values.var(ddof=1)) * (len(one.values) - 1) for one in several) / freedom
    groups = samples[0].terms.shape[1]
    if not over_images:
        return Spread(Variance(seed, freedom), None, 0.0, groups)
    luck = 2 * float(np.mean([_luck(one) for one in several]))
    common, freedoms = [], []
    for one, other in combinations(samples, 2):
        found = of_images(one.deviations - other.deviations)
        own = [luck / 2 / len(single.values) for single in (one, other)]
        common.append(found.value - sum(own))
        freedoms.append(found.freedom)
    images = Variance(max(0.0, float(np.mean(common))), float(np.mean(freedoms)))
    return Spread(Variance(seed, freedom), images, luck, groups)


def _luck(one: Sample) -> float:
    """The variance over images that a single seed adds to what all seeds share."""
    apart = one.terms - one.deviations
    seeds = len(one.values)
    return float(np.mean([of_images(terms).value for terms in apart])) * seeds / (seeds - 1)
