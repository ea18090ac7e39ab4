"""How much of each width to keep, so that all together cost no more than is given and lose least."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Choice:
    """Of one width: so many channels, at this cost and this loss."""

    channels: int
    cost: float
    loss: float


def choose(choices: Sequence[Sequence[Choice]], budget: float) -> list[Choice]:
    """One choice of each width, their costs at most `budget` in all; the cheapest of each where that is not enough.

    Steps are taken in the order of loss per cost saved, along each width's lower convex hull (Sinha and Zoltners, 1979:
    the best there is for what it then costs), until the budget is met.
    """
    ways = [_hull(of_width) for of_width in choices]
    chosen = [way[0] for way in ways]
    steps = sorted(
        (_slope(before, after), number, place)
        for number, way in enumerate(ways)
        for place, (before, after) in enumerate(pairwise(way), start=1)
    )
    cost = sum(choice.cost for choice in chosen)
    for _, number, place in steps:
        if cost <= budget:
            break
        cost += ways[number][place].cost - chosen[number].cost
        chosen[number] = ways[number][place]
    return chosen


def _hull(choices: Sequence[Choice]) -> list[Choice]:
    """Those which are best at some price, the dearest, of least loss, first: loss rises ever faster as cost falls."""
    kept: list[Choice] = []
    for choice in sorted(choices, key=lambda one: (one.loss, one.cost)):
        if kept and choice.cost >= kept[-1].cost:
            continue
        while len(kept) > 1 and _slope(kept[-1], choice) < _slope(kept[-2], kept[-1]):
            kept.pop()
        kept.append(choice)
    return kept


def _slope(before: Choice, after: Choice) -> float:
    return (after.loss - before.loss) / (before.cost - after.cost)
