from itertools import pairwise, product

from hypothesis import given, settings
from hypothesis import strategies as st

from scaseg.prune.budget import Choice, choose

numbers = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1, max_size=4)


@given(of_widths=st.lists(numbers, min_size=1, max_size=4), budget=st.integers(0, 30))
@settings(max_examples=200, deadline=None)
def test_no_choice_of_its_cost_loses_less(of_widths: list[list[tuple[int, int]]], budget: int) -> None:
    choices = [[Choice(n, float(cost), float(loss)) for n, (cost, loss) in enumerate(one)] for one in of_widths]
    found = choose(choices, budget)
    cost, loss = sum(one.cost for one in found), sum(one.loss for one in found)
    every = [(sum(c.cost for c in one), sum(c.loss for c in one)) for one in product(*choices)]
    assert cost <= budget or cost == min(c for c, _ in every)
    assert loss == min(other for c, other in every if c <= cost)


def test_all_is_kept_where_there_is_room_and_what_is_cheapest_to_lose_goes_first() -> None:
    choices = [
        [Choice(16, 16, 0), Choice(8, 8, 1), Choice(4, 4, 4)],
        [Choice(8, 80, 0), Choice(4, 40, 8), Choice(0, 0, 10)],  # the last is on the way from the first
    ]
    assert [one.channels for one in choose(choices, 96)] == [16, 8]
    assert [one.channels for one in choose(choices, 90)] == [8, 8]
    assert [one.channels for one in choose(choices, 20)] == [8, 0]
    assert [one.channels for one in choose(choices, 0)] == [4, 0]
    costs = [sum(one.cost for one in choose(choices, budget)) for budget in range(100)]
    assert all(a <= b for a, b in pairwise(costs))
