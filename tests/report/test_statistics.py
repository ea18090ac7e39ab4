import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaseg.report.statistics import summarise

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
