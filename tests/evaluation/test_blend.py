"""Windows cover a picture, their weights sum to 1, and what is blended in bands is what NumPy blends at once."""

from itertools import pairwise

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scaseg.data.sizes import GRID, overlapping
from scaseg.evaluation.blend import Blended, spans
from scaseg.evaluation.row_bands import Held, Resized, best_class


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3000), st.integers(1, 12), st.integers(0, 6))
def test_spans_cover_and_share(length, window, overlap):
    window, overlap = window * GRID, min(overlap, window // 2) * GRID
    found = spans(length, overlapping(length, window, overlap))
    total = np.zeros(length)
    for one in found:
        assert one.start % GRID == 0 and one.start < one.stop <= length and one.stop - one.start <= window
        assert len(one.weight) == one.stop - one.start and (one.weight >= 0).all()
        total[one.start : one.stop] += one.weight.numpy()
    np.testing.assert_allclose(total, 1, atol=1e-6)
    assert found[0].start == 0 and found[-1].stop == length
    for one, after in pairwise(found):
        assert one.start < after.start and one.stop - after.start >= overlap
    fewest = 1 if length <= window else 1 + -(-(length - window) // (window - overlap))
    assert fewest <= len(found) <= fewest + 1  # one more where the grid asks for it
    if len(found) == 1:
        assert (found[0].weight == 1).all()


def test_a_window_weighs_least_at_its_edges():
    first, middle, last = spans(256, overlapping(256, 128, 64))
    assert first.weight[0] == last.weight[-1] == 1  # the picture's own
    assert first.weight[-1] < 0.001 and middle.weight[0] < 0.001
    assert middle.weight.argmax() in (63, 64)
    shared = first.weight[64:] + middle.weight[:64]
    np.testing.assert_allclose(shared, 1, atol=1e-6)
    assert (first.weight[64:].diff() < 0).all()


def test_bands_are_what_numpy_blends_at_once():
    """Of logits at a quarter of the windows' size, which in NumPy are resized in float64 and weighed by sin^2."""
    generator = torch.Generator().manual_seed(0)
    height, width, window, overlap = 200, 232, 64, 32
    down, across = (spans(side, overlapping(side, window, overlap)) for side in (height, width))
    logits = {
        (y.start, x.start): torch.randn(
            1, 5, -(-(y.stop - y.start) // 4), -(-(x.stop - x.start) // 4), generator=generator
        )
        for y in down
        for x in across
    }
    total, weights = np.zeros((5, height, width)), np.zeros((height, width))
    for y in down:
        for x in across:
            size = y.stop - y.start, x.stop - x.start
            weight = np.outer(hann(y.start, y.stop, height), hann(x.start, x.stop, width))
            at = slice(y.start, y.stop), slice(x.start, x.stop)
            total[:, at[0], at[1]] += weight * resized(logits[y.start, x.start][0].numpy().astype(np.float64), size)
            weights[at] += weight
    expected = total / weights
    found, labels, open_rows = [], [], []
    for number, y in enumerate(down):
        maps = [Resized(Held(logits[y.start, x.start]), (y.stop - y.start, x.stop - x.start)) for x in across]
        open_rows = [row for row in open_rows if row[0].stop > y.start] + [(y, maps)]
        until = down[number + 1].start if number + 1 < len(down) else height
        band = Blended(y.start, until, [row[0] for row in open_rows], across, [row[1] for row in open_rows])
        assert band.shape == (1, 5, until - y.start, width)
        found.append(band.rows(0, until - y.start)[0].numpy())
        labels.append(best_class(band)[0].numpy())
    np.testing.assert_allclose(np.concatenate(found, 1), expected, atol=2e-5)
    sure = np.sort(expected, 0)[-1] - np.sort(expected, 0)[-2] > 1e-4
    assert sure.mean() > 0.99
    np.testing.assert_array_equal(np.concatenate(labels)[sure], expected.argmax(0)[sure])


def hann(start, stop, length):
    places = [(i + 0.5) / (stop - start) for i in range(stop - start)]
    return np.array(
        [1.0 if (start == 0 and p < 0.5) or (stop == length and p > 0.5) else np.sin(np.pi * p) ** 2 for p in places]
    )


def resized(maps, size):
    for axis, length in ((1, size[0]), (2, size[1])):
        n = maps.shape[axis]
        place = np.clip((np.arange(length) + 0.5) * n / length - 0.5, 0, n - 1)
        low = np.floor(place).astype(int)
        high, share = np.minimum(low + 1, n - 1), place - low
        share = share.reshape([-1 if i == axis else 1 for i in range(3)])
        maps = maps.take(low, axis) * (1 - share) + maps.take(high, axis) * share
    return maps
