"""The search for a time, by a clock that tells what it is told."""

from collections.abc import Callable, Sequence

import pytest

from scaseg.complexity.latency import Ratio, Spread
from scaseg.prune.plan import Cost, Plan
from scaseg.prune.smaller import Kept
from scaseg.prune.timing import NEAR, by_time
from scaseg.prune.widths import widths_of
from scaseg.prune.worth import by_l2
from tests.prune.test_smaller import CLASSES, MIT, model


@pytest.fixture(scope="module")
def plan() -> Plan:
    run, segmentor = model(*MIT)
    widths, _ = widths_of(segmentor)
    return Plan(run, widths, by_l2(segmentor, widths), Cost("macs", CLASSES, (64, 64)), 1)


@pytest.mark.parametrize("clock", [lambda share: share, lambda share: 0.4 + 0.6 * share, lambda share: share**2])
@pytest.mark.parametrize("target", [0.65, 0.9])
def test_the_widest_within_the_time_is_found(plan: Plan, clock: Callable[[float], float], target: float) -> None:
    measured: list[Sequence[Kept]] = []

    def measure(kept: Sequence[Kept]) -> Ratio:
        measured.append(kept)
        told = Spread(clock(plan.share(kept)), 0, 0, 1)
        return Ratio(told, told, told)

    kept, ratio = by_time(plan, target, measure)
    assert ratio.ratio.median == clock(plan.share(kept))
    assert target - 2 * NEAR < ratio.ratio.median <= target
    assert len(measured) <= 8
    assert len(measured) == len({tuple(one.channels for one in each) for each in measured})


def test_the_least_is_told_where_none_is_so_fast(plan: Plan) -> None:
    slow = Spread(0.95, 0.9, 1.0, 3)
    kept, ratio = by_time(plan, 0.5, lambda _: Ratio(slow, slow, slow))
    assert (kept, ratio.ratio) == (plan.kept(0), slow)
