"""The boundary loss against distances that are measured between all pairs of pixels."""

from math import hypot

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt
from torch.nn import functional

from scaseg.data.labels import Mask
from scaseg.losses.boundary import boundary_loss, distance_maps
from tests.losses.cases import IGNORE, case


def distance(ids: Mask, y: int, x: int, k: int) -> float:
    """Of one pixel and class, signed, in diagonals."""
    labelled = [(int(v), int(u)) for v, u in np.argwhere(ids != IGNORE)]
    inside = ids[y, x] == k
    ends = [(v, u) for v, u in labelled if (ids[v, u] == k) != inside]
    if ids[y, x] == IGNORE or not ends or not (ids == k).any():
        return 0.0
    nearest = min(hypot(v - y, u - x) for v, u in ends) - 0.5
    return (-nearest if inside else nearest) / hypot(*ids.shape)


@given(
    classes=st.integers(1, 4),
    present=st.integers(1, 4),
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    ignored=st.sampled_from([0.0, 0.3, 0.9]),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_it_is_the_mean_of_probability_times_distance(
    classes: int, present: int, size: tuple[int, int], ignored: float, seed: int
) -> None:
    logits, target = case(classes, size, seed, ignored, min(present, classes))
    total, count = 0.0, 0
    for image, ids in zip(logits.detach().softmax(1).numpy(), target.numpy(), strict=True):
        for k, y, x in np.ndindex(*image.shape):
            total += image[k, y, x] * distance(ids, y, x, k)
        count += int((ids != IGNORE).sum())
    loss = boundary_loss(logits, target)
    assert float(loss.detach()) == pytest.approx(total / max(1, count), rel=1e-5, abs=1e-7)


def test_maps_of_a_large_mask_are_scipys() -> None:
    generator = np.random.default_rng(0)
    ids = np.kron(generator.integers(0, 5, (9, 11)), np.ones((23, 31), int)).astype(np.uint8)
    ids[generator.random(ids.shape) < 0.02] = IGNORE
    present, maps = distance_maps(ids)
    assert present == [0, 1, 2, 3, 4]
    for k, found in zip(present, maps, strict=True):
        outside = distance_transform_edt(ids != k) - 0.5
        inside = distance_transform_edt((ids == k) | (ids == IGNORE)) - 0.5
        right = np.where(ids == k, -inside, outside) * (ids != IGNORE) / hypot(*ids.shape)
        np.testing.assert_allclose(found, right, atol=1e-6)


def test_maps_are_the_same_wherever_the_mask_lies_in_memory() -> None:
    """Intel's library rounds by the address: a resumed run was another run, one time in some."""
    generator = np.random.default_rng(0)
    for _ in range(20):
        height, width = generator.integers(20, 130, 2)
        fine = np.kron(generator.integers(0, 3, (8, 8)), np.ones((17, 17), np.uint8))[:height, :width]
        maps = []
        for start in range(0, 64, 7):
            ids = np.empty(start + fine.size, np.uint8)[start:].reshape(fine.shape)
            ids[:] = fine
            maps.append(distance_maps(ids)[1])
        assert all(np.array_equal(one, maps[0]) for one in maps)


def test_an_image_of_twice_the_size_costs_the_same() -> None:
    target = torch.zeros(1, 64, 64, dtype=torch.int64)
    target[:, 20:50, 10:30] = 1
    logits = torch.randn(1, 2, 64, 64, generator=torch.Generator().manual_seed(0)) + torch.tensor([0.0, 1.0]).view(
        2, 1, 1
    )
    large = [functional.interpolate(x, scale_factor=2, mode="nearest") for x in (logits, target[None].float())]
    once, twice = boundary_loss(logits, target), boundary_loss(large[0], large[1][0].long())
    assert float(twice) == pytest.approx(float(once), rel=0.01)


def test_the_truth_is_the_cheapest_answer_and_a_far_mistake_the_dearest() -> None:
    target = torch.zeros(1, 8, 32, dtype=torch.int64)
    target[..., 16:] = 1
    costs = []
    for edge in (16, 17, 24, 32):
        answer = torch.zeros_like(target)
        answer[..., edge:] = 1
        costs.append(float(boundary_loss(200.0 * functional.one_hot(answer, 2).permute(0, 3, 1, 2), target)))
    assert costs[0] < 0
    assert costs == sorted(costs)
    assert costs[3] - costs[2] > costs[2] - costs[0]
