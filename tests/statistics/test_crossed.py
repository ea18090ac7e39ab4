"""How often intervals hold the truth, how often a difference is claimed where there is none, and what is refused."""

from collections.abc import Sequence
from itertools import combinations, product

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from scaseg.errors import UserError
from scaseg.statistics.crossed import Sample, Statistics, estimate, grouped, holm, sample, summed
from tests.statistics.simulated import Covered, World, measure

ALL = list(product((1, 5), (False, True), (3, 5, 10), (50, 250)))


def of(runs: Sequence[Statistics], groups: npt.NDArray[np.int64]) -> Sample:
    return sample([summed(statistics, groups) for statistics in runs], measure)


def coverage(world: World, seeds: int, images: int, sets: int) -> Covered:
    """Of the truth over the classes that the images hold."""
    covered, generator = Covered(), np.random.default_rng(seeds * 1000 + images)
    for _ in range(sets):
        (runs,), groups = world.models(generator, 1, seeds, images)
        found = estimate(of(runs, groups), 0.95)
        there = runs[0]["region"][:, 2].sum(0) > 0
        truth = world.truth[there].mean()
        covered.sets += 1
        covered.given += not np.isnan(found.low)
        covered.held += found.low <= truth <= found.high
    return covered


@pytest.mark.parametrize(("size", "rare", "seeds", "images"), [(1, False, 3, 50), (5, True, 3, 250), (1, True, 5, 50)])
def test_intervals_hold_the_truth(size: int, rare: bool, seeds: int, images: int) -> None:
    covered = coverage(World(size, rare), seeds, images, 300)
    assert 0.95 - 3 * np.sqrt(0.95 * 0.05 / 300) <= covered.share <= 0.95 + 3 * np.sqrt(0.95 * 0.05 / 300)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "rare", "seeds", "images"), ALL)
def test_intervals_hold_the_truth_in_93_to_97_of_100(size: int, rare: bool, seeds: int, images: int) -> None:
    covered = coverage(World(size, rare), seeds, images, 2000)
    assert 0.93 <= covered.share <= 0.97
    assert covered.given >= 0.2 * covered.sets


@pytest.mark.parametrize("models", [2, 7])
def test_equally_good_models_are_seldom_told_apart(models: int) -> None:
    """Of 200 sweeps of A against A, at most 5 in 100 claim a difference, over 21 pairs too."""
    generator, world, wrong = np.random.default_rng(models), World(1, True), 0
    for _ in range(200):
        found, groups = world.models(generator, models, 3, 50)
        samples = [of(runs, groups) for runs in found]
        p_values = [estimate(a, 0.95, b).p_value for a, b in combinations(samples, 2)]
        wrong += any(p < 0.05 for p in holm(p_values))
    assert wrong <= 10


def test_seeds_alone_are_students_t() -> None:
    """Where all images are alike, what is left is the classical interval of the seeds' mean."""
    values = np.array([50.0, 52.0, 51.5])
    found = estimate(Sample(values, np.zeros((3, 40))), 0.95)
    low, high = stats.t.interval(0.95, 2, values.mean(), stats.sem(values))
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_images_alone_are_the_jackknife() -> None:
    """One seed, a mean over images: their standard error, degrees of freedom by their kurtosis."""
    generator = np.random.default_rng(0)
    counts = generator.normal(10, 2, 60)
    one = sample([summed({"x": counts[:, None]}, np.arange(60))], lambda sums: sums["x"] / 60)
    assert one.value == pytest.approx(counts.mean())
    found = estimate(one, 0.95)
    freedom = min(59, 2 * 60 / (stats.kurtosis(counts, fisher=False) - 1))
    error = np.sqrt(59 / 60) * counts.std() / np.sqrt(60)
    assert (found.high - found.low) / 2 == pytest.approx(stats.t.ppf(0.975, freedom) * error, rel=1e-6)


def test_two_models_with_unlike_seeds_are_welchs() -> None:
    a, b = np.array([50.0, 52.0, 51.5]), np.array([49.0, 49.5])
    found = estimate(Sample(a, np.zeros((len(a), 9))), 0.95, Sample(b, np.zeros((len(b), 9))))
    expected = stats.ttest_ind(a, b, equal_var=False)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.better == pytest.approx(1 - expected.pvalue / 2)
    interval = expected.confidence_interval(0.95)
    assert (found.low, found.high) == (pytest.approx(interval.low), pytest.approx(interval.high))


def test_what_is_not_known_is_not_said() -> None:
    """One group of images, a class in one group alone, nothing to score: no interval, and no claim."""
    counts = np.ones((6, 3, 2))
    for region, groups in (
        (counts, np.zeros(6, int)),
        (counts * [[1, 0]] + np.eye(6, 1)[:, :, None] * [[0, 1]], np.arange(6)),
        (0 * counts, np.arange(6)),
    ):
        found = estimate(of([{"region": region}], groups), 0.95)
        assert np.isnan([found.low, found.high, found.better, found.p_value]).all()


def test_a_model_does_not_differ_from_itself() -> None:
    (runs,), groups = World(1, False).models(np.random.default_rng(0), 1, 3, 50)
    one = of(runs[:1], groups)
    found = estimate(one, 0.95, one)
    assert (found.value, found.low, found.high, found.better) == (0, 0, 0, 0.5)


def test_correction_for_many_comparisons() -> None:
    """By hand: 0.01 x 3, then max(0.03, 0.02 x 2), then 0.5; what is not known stays so."""
    assert holm([0.5, 0.01, 0.02]) == pytest.approx([0.5, 0.03, 0.04])
    assert holm([0.9, 0.9]) == [1.0, 1.0]
    unknown = holm([float("nan"), 0.01])
    assert np.isnan(unknown[0]) and unknown[1] == pytest.approx(0.02)


def test_groups_by_names() -> None:
    names = ["0016E5_00390", "0016E5_00420", "Seq05VD_f00030"]
    assert grouped(names, r"^[^_]+").tolist() == [0, 0, 1]
    assert grouped(names, r"_f?(\d\d\d)").tolist() == [0, 1, 2]
    assert grouped(names, None).tolist() == [0, 1, 2]
    with pytest.raises(UserError, match="groups=Seq finds nothing in the name 0016E5_00390"):
        grouped(names, "Seq")
    with pytest.raises(UserError, match=r"groups=\(: no regular expression"):
        grouped(names, "(")
