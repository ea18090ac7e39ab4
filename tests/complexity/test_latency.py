import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scaseg.complexity import latency as module
from scaseg.complexity.latency import Spread, interleaved, latency

CPU = torch.device("cpu")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1e3), min_size=1, max_size=20))
def test_quartiles_are_numpys(values: list[float]) -> None:
    spread = Spread.of(values)
    expected = np.quantile(values, [0.5, 0.25, 0.75])
    assert [spread.median, spread.lower, spread.upper] == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert spread.rounds == len(values)


def test_warm_up_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(itertools.count())
    monkeypatch.setattr(module.time, "perf_counter", lambda: float(next(clock)))
    calls: list[int] = []
    spread = latency(lambda: calls.append(1), CPU, warmup=3, rounds=4)
    assert len(calls) == 7
    assert spread == Spread(1.0, 1.0, 1.0, 4)


def test_ratio_survives_a_machine_that_slows_down(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    speed = itertools.chain(*([factor] * 2 for factor in (1.0, 1.0, 1.0, 10.0, 10.0, 3.0, 1.0, 1.0)))
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])

    def work(seconds: float) -> None:
        now[0] += seconds * next(speed)

    ratio = interleaved(lambda: work(3.0), lambda: work(2.0), CPU, warmup=0, rounds=7)
    assert ratio.ratio == Spread(1.5, 1.5, 1.5, 7)
    assert ratio.a.upper > ratio.a.median


def test_order_alternates(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(itertools.count())
    monkeypatch.setattr(module.time, "perf_counter", lambda: float(next(clock)))
    order = ""

    def call(name: str) -> None:
        nonlocal order
        order += name

    interleaved(lambda: call("a"), lambda: call("b"), CPU, warmup=0, rounds=4)
    assert order == "ab" + "abbaabba"  # first one of each, to see how long they are


def test_short_calls_follow_on_themselves_and_give_their_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    now, order = [0.0], ""
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])

    def call(name: str, seconds: float) -> None:
        nonlocal order
        order += name
        now[0] += seconds

    ratio = interleaved(lambda: call("a", 0.0065), lambda: call("b", 0.013), CPU, warmup=0, rounds=2)
    assert order == "ab" + "aaab" + "baaa"
    assert (ratio.ratio.median, ratio.a.median) == pytest.approx((0.5, 0.0065))
