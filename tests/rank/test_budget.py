from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaseg.rank.budget import allocate

costs = st.lists(st.lists(st.integers(0, 9).map(float), min_size=1, max_size=4), min_size=1, max_size=4)


@given(costs=costs, budget=st.integers(0, 9))
@settings(max_examples=100, deadline=None)
def test_no_choice_within_the_budget_is_cheaper(costs: list[list[float]], budget: int) -> None:
    found = allocate(costs, budget)
    every = product(*(range(len(of_head)) for of_head in costs))
    best = min(sum(map(lambda c, r: c[r], costs, ranks)) for ranks in every if sum(ranks) <= budget)
    assert sum(found) <= budget
    assert sum(c[r] for c, r in zip(costs, found, strict=True)) == pytest.approx(best)


def test_a_budget_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="-1 channels"):
        allocate([[0.0]], -1)
