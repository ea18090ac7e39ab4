"""In which order a training draws of several sources: against counting, sample by sample."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaseg.data.augment import Augment
from scaseg.data.datasets import TrainSamples
from scaseg.data.mixture import Mixture
from scaseg.data.shapes import Shapes

WEIGHTS = st.lists(st.sampled_from([0.001, 0.1, 0.5, 1.0, 1.3, 7.0, 40.0]), max_size=4)


def mixture(*weights: float, own: int = 5) -> Mixture:
    sources: Any = [range(own), *(range(3) for _ in weights)]
    return Mixture(sources, weights)


@given(WEIGHTS)
def test_each_source_has_had_its_share_after_any_number_of_samples(weights: list[float]) -> None:
    mixed = mixture(*weights)
    counts = [0] * (1 + len(weights))
    for n in range(300):
        number, before = mixed.place(n)
        assert before == counts[number]  # each counter of a source once, in order
        counts[number] += 1
        for count, share in zip(counts, mixed.shares, strict=True):
            assert abs(count - (n + 1) * share) <= len(weights) + 1e-9
    far = 10**9 + 7  # a place is known without those before it
    assert mixed.place(far)[0] in range(1 + len(weights))


def test_one_source_is_what_it_was() -> None:
    assert [mixture().place(n) for n in (0, 1, 12345678)] == [(0, 0), (0, 1), (0, 12345678)]


@given(WEIGHTS, st.integers(1, 40))
def test_a_pass_sees_every_image_of_the_datasets_own_once(weights: list[float], own: int) -> None:
    mixed = mixture(*weights, own=own)
    total = sum(map(Fraction, map(str, (1, *weights))))
    assert mixed.a_pass <= own * total + 1
    assert mixed.place(mixed.a_pass - 1) == (0, own - 1)
    assert mixture().a_pass == 5


@pytest.mark.parametrize("number", [0, 1])
def test_samples_follow_from_the_counter_alone_and_epochs_from_the_source(number: int) -> None:
    augment = Augment(crop_size=[32, 32])
    sources = [Shapes(None, "train", size=[32, 64], length=7, seed=seed) for seed in (0, 1)]

    def samples() -> TrainSamples:
        return TrainSamples(sources[0], augment, 3, more=[(sources[1], 0.5)])

    one = samples()
    drawn = [one.drawn(n) for n in range(63)]
    of_it = [index for source, index in drawn if source is sources[number]]
    for epoch in range(len(of_it) // 7):
        assert sorted(of_it[7 * epoch : 7 * epoch + 7]) == list(range(7))
    assert of_it[:7] != of_it[7:14]
    assert [samples().drawn(n) for n in (40, 3, 62)] == [drawn[n] for n in (40, 3, 62)]
    alone = TrainSamples(sources[0], augment, 3)
    if number == 0:  # its order is what it is without the others
        assert of_it == [alone.drawn(n)[1] for n in range(len(of_it))]
    for n in (0, 2, 5):
        source, index = drawn[n]
        np.testing.assert_array_equal(one[n]["mask"], samples()[n]["mask"])
        assert source.name(index)
