import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaseg.report.statistics import difference, summarise

RATES = st.lists(st.floats(0, 100), min_size=2, max_size=8)


@settings(max_examples=50, deadline=None)
@given(RATES)
def test_mean_and_sample_deviation_are_numpys(values: list[float]) -> None:
    summary = summarise(values)
    assert summary.mean == pytest.approx(np.mean(values), abs=1e-9)
    assert summary.std == pytest.approx(np.std(values, ddof=1), abs=1e-6)
    assert summary.n == len(values)


def test_one_value_has_no_deviation() -> None:
    assert summarise([41.6]).std is None
    assert summarise([41.6]).text() == "41.60 (n = 1)"
    assert summarise([41.0, 42.0]).text() == "41.50 ± 0.71 (n = 2)"


def test_same_seeds_are_paired() -> None:
    stats = pytest.importorskip("scipy.stats")
    a, b = {0: 41.0, 1: 43.5, 2: 40.2}, {2: 39.9, 1: 42.0, 0: 40.1}
    change = difference(a, b)
    expected = stats.ttest_rel(list(a.values()), [b[seed] for seed in a]).confidence_interval(0.95)
    assert change.paired
    assert (change.low, change.high) == pytest.approx(tuple(expected))
    assert change.mean == pytest.approx(0.9)


@settings(max_examples=30, deadline=None)
@given(*[st.lists(st.integers(0, 1000), min_size=2, max_size=6, unique=True)] * 2)
def test_other_seeds_are_welchs(first: list[int], second: list[int]) -> None:
    stats = pytest.importorskip("scipy.stats")
    a = {seed: float(value) / 10 for seed, value in enumerate(first)}
    b = {seed + 100: float(value) / 10 for seed, value in enumerate(second)}
    change = difference(a, b)
    expected = stats.ttest_ind(list(a.values()), list(b.values()), equal_var=False).confidence_interval(0.95)
    assert not change.paired
    assert (change.low, change.high) == pytest.approx(tuple(expected), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(("a", "b"), [({0: 1.0}, {0: 2.0}), ({0: 1.0}, {1: 2.0, 2: 3.0})])
def test_one_seed_bounds_nothing(a: dict[int, float], b: dict[int, float]) -> None:
    change = difference(a, b)
    assert change.low is None
    assert "[" not in change.text()


def test_constant_groups() -> None:
    change = difference({0: 2.0, 1: 2.0}, {5: 1.0, 6: 1.0, 7: 1.0})
    assert (change.mean, change.low, change.high) == (1.0, 1.0, 1.0)
