"""Whether the seeds that a plan asks for have the power that it says, and what a plan does at its ends."""

from math import inf

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from scaseg.statistics.crossed import Sample, Variance, estimate, sample, summed
from scaseg.statistics.power import Spread, spread
from tests.statistics.simulated import World, measure


def samples(
    world: World, generator: np.random.Generator, seeds: int, images: int, ahead: float = 0
) -> tuple[Sample, Sample]:
    """Of two models, the first ahead."""
    (one, other), groups = world.models(generator, 2, seeds, images, ahead)
    first, second = ([summed(statistics, groups) for statistics in runs] for runs in (one, other))
    return sample(first, measure), sample(second, measure)


def share_of_claims(world: World, ahead: float, images: int, seeds: int, sets: int) -> float:
    """Of sets in which the better model is claimed to be better."""
    generator, claims = np.random.default_rng(seeds), 0
    for _ in range(sets):
        one, other = samples(world, generator, seeds, images, ahead)
        found = estimate(one, 0.95, other)
        claims += found.p_value < 0.05 and found.value > 0
    return claims / sets


@pytest.mark.slow
@pytest.mark.parametrize(
    ("world", "ahead", "images"),
    [
        (World(1, False), 0.1, 50),  # the seeds vary most
        (World(1, False, 0.02), 0.05, 50),  # the images do
        (World(5, False, 0.04), 0.07, 100),
    ],
)
def test_the_planned_seeds_have_80_percent_power(world: World, ahead: float, images: int) -> None:
    """Within 5 points; the plan is of a pilot with ten times the images, the true difference of many sets."""
    generator = np.random.default_rng(0)
    found = spread(samples(world, generator, 60, 10 * images), True)
    sets = [samples(world, generator, 20, images, ahead) for _ in range(200)]
    difference = float(np.mean([one.value - other.value for one, other in sets]))
    seeds = found.seeds_for(difference, 0.8, 0.95, 0.1)
    assert seeds >= 5  # else one seed more or less is more than 5 points
    assert found.power(difference, seeds, 0.95, 0.1) == pytest.approx(0.8, abs=0.05)
    assert share_of_claims(world, ahead, images, seeds, 1000) == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize("seeds", [2, 3, 10])
def test_over_seeds_alone_it_is_the_t_tests_power(seeds: int) -> None:
    """Against the noncentral t distribution of scipy.stats, for two groups of equal variance."""
    found = Spread(Variance(1.5, 8), None, 0.0, 1)
    freedom, shift = 2 * (seeds - 1), 2.0 / np.sqrt(2 * 1.5 / seeds)
    expected = stats.nct.sf(stats.t.ppf(0.975, freedom), freedom, shift)
    assert found.power(2.0, seeds, 0.95) == pytest.approx(expected)


def test_more_of_anything_has_more_power() -> None:
    found = Spread(Variance(1.0, 8), Variance(0.2, 40), 0.1, 50)
    assert found.power(1, 3, 0.95) < found.power(1, 4, 0.95) < found.power(1, 4, 0.95, 2) < found.power(1.5, 4, 0.95, 2)
    assert found.power(1, 4, 0.95, comparisons=21) < found.power(1, 4, 0.95)
    assert found.seeds_for(2, 0.8, 0.95, comparisons=21) > found.seeds_for(2, 0.8, 0.95) > 2


def test_no_number_of_seeds_outweighs_the_images() -> None:
    found = Spread(Variance(1.0, 8), Variance(0.5, 40), 0.1, 50)
    assert found.seeds_for(0.5, 0.8, 0.95) == 0
    assert found.seeds_for(0.5, 0.8, 0.95, 100) > 2
    assert Spread(Variance(0.0, 8), None, 0.0, 1).seeds_for(0.1, 0.8, 0.95) == 2  # all seeds alike
    assert found.power(1e3, 500, 0.95) == 1.0


def test_what_few_seeds_say_of_their_variance() -> None:
    """By chi-squared; of one degree of freedom that is a factor of a thousand and more."""
    values = stats.norm.rvs(size=(2000, 3), random_state=1, scale=2.0)
    held = 0
    for row in values:
        low, high = Spread(Variance(float(row.var(ddof=1)), 2), None, 0.0, 1).bounds(0.9)
        held += low.seed.value <= 4.0 <= high.seed.value
    assert held / 2000 == pytest.approx(0.9, abs=0.02)
    assert Spread(Variance(1.0, 1), None, 0.0, 1).bounds(0.95)[1].seed.value > 1000
    assert Spread(Variance(1.0, 1), None, 0.0, 1).bounds(0.95)[1].seed.value < inf


def test_spread_is_pooled() -> None:
    """Against the variances that made the figures."""
    generator = np.random.default_rng(3)

    def one(seeds: int, common: npt.NDArray[np.float64]) -> Sample:
        own = generator.normal(0, 0.3, (seeds, 400))
        return Sample(generator.normal(50, 2, seeds), (generator.normal(0, 0.4, 400) + own + common) / 399)

    common = generator.normal(0, 5, 400)  # of the images, for all models: it cancels in differences
    found = spread([one(30, common), one(20, common), one(1, common)], True)
    assert found.seed.value == pytest.approx(4, rel=0.5)
    assert found.seed.freedom == 48
    assert found.images is not None
    assert found.images.value * 400 == pytest.approx(2 * 0.4**2, rel=0.3)
    assert found.luck * 400 == pytest.approx(2 * 0.3**2, rel=0.3)
