"""Ranks of all heads for a budget: the cheapest choice there is."""

from collections.abc import Iterator, Sequence
from math import inf

Choice = tuple[float, tuple[int, ...]]  # what it costs, ranks of the heads so far


def allocate(costs: Sequence[Sequence[float]], budget: int) -> list[int]:
    """Of each head a rank, so that their sum is at most `budget` and the sum of their costs least.

    costs: of each head by rank, from 0 on. Exact, by dynamic programming over heads; of equal choices that of the
    smaller ranks. Raises ValueError for a budget below 0.
    """
    if budget < 0:
        raise ValueError(f"a budget of {budget} channels")
    best: list[Choice] = [(0.0, ())]  # by channels spent
    best += [(inf, ())] * budget
    for of_head in costs:
        best = [min(_with(best, of_head, spent)) for spent in range(budget + 1)]
    return list(min(best)[1])


def _with(best: Sequence[Choice], of_head: Sequence[float], spent: int) -> Iterator[Choice]:
    """The choices of heads before it with each of its ranks, so many channels in all."""
    for rank, cost in enumerate(of_head[: spent + 1]):
        sum_before, ranks = best[spent - rank]
        yield sum_before + cost, (*ranks, rank)
