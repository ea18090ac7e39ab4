"""Factors on the learning rates: torch's own schedules, ends, warm-up."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim.lr_scheduler import CosineAnnealingLR

from scaseg.schedules.constant import Constant
from scaseg.schedules.cosine import Cosine
from scaseg.schedules.poly import Poly
from scaseg.schedules.schedule import warmed_up


@pytest.mark.parametrize("floor", [0.0, 0.1])
def test_cosine_is_torchs(floor: float) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 1.0)
    theirs = CosineAnnealingLR(optimizer, 40, floor)
    factor = warmed_up(Cosine(floor), 40, 0, 1.0)
    for step in range(41):
        assert factor(step) == pytest.approx(theirs.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        theirs.step()


def test_constant_until_the_cooldown() -> None:
    factor = warmed_up(Constant(0.25), 100, 0, 1.0)
    assert [factor(step) for step in (0, 74, 75, 80, 90, 100)] == pytest.approx([1, 1, 1, 0.8, 0.4, 0])
    assert {warmed_up(Constant(), 100, 0, 1.0)(step) for step in range(101)} == {1.0}


@given(
    st.sampled_from([Cosine(), Cosine(0.3), Constant(), Constant(0.5), Constant(1), Poly(), Poly(0.9)]),
    st.integers(1, 200),
    st.integers(0, 50),
)
def test_from_the_warm_up_to_the_end(schedule: Cosine | Constant | Poly, steps: int, warmup: int) -> None:
    factor = warmed_up(schedule, steps + warmup, warmup, 0.1)
    found = [factor(step) for step in range(steps + warmup)]
    assert all(0 <= value <= 1 for value in found)
    assert found[0] == pytest.approx(0.1 if warmup else 1)
    assert found[warmup] == pytest.approx(1)
    assert found[warmup:] == sorted(found[warmup:], reverse=True)
