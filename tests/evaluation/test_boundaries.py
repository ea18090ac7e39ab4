"""Boundary IoU, trimap and object sizes: cases by hand, and second readings of their definitions."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaseg.data.labels import IGNORE
from scaseg.evaluation.boundaries import (
    boundary_counts,
    boundary_width,
    object_counts,
    trimap,
    trimap_counts,
)
from scaseg.evaluation.regions import class_iou, mean_iou, region_counts

MASKS = st.tuples(st.integers(1, 24), st.integers(1, 24), st.integers(0, 9999))


def random_masks(height: int, width: int, seed: int, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Blobs of classes, a few ignored pixels in the truth."""
    generator = np.random.default_rng(seed)
    small = generator.integers(0, classes, (2, -(-height // 4), -(-width // 4))).astype(np.uint8)
    prediction, truth = (np.kron(x, np.ones((4, 4), np.uint8))[:height, :width].copy() for x in small)
    truth[generator.random(truth.shape) < 0.05] = IGNORE
    return prediction, truth


def square(top: int, left: int, side: int, size: int = 20) -> np.ndarray:
    mask = np.zeros((size, size), np.uint8)
    mask[top : top + side, left : left + side] = 1
    return mask


def test_boundary_iou_of_two_squares_by_hand() -> None:
    """8 x 8 at (4, 4) against the same moved right by one; d = 1: rings of 28 pixels.

    The rings share the top and bottom rows but for one column each side: 2 x 7 = 14 pixels, and of the sides, which
    are at columns 4 and 11 against 5 and 12, none. Union 28 + 28 - 14.
    """
    truth, prediction = square(4, 4, 8), square(4, 5, 8)
    counts = boundary_counts(prediction, truth, 2, [1])
    assert counts[0, :, 1].tolist() == [14, 28, 28]
    assert class_iou(counts[0].astype(float))[1] == pytest.approx(100 * 14 / 42)
    assert region_counts(prediction, truth, 2)[:, 1].tolist() == [56, 64, 64]


def test_boundary_is_thicker_and_ends_as_the_mask_by_hand() -> None:
    """d = 2: rings of 64 - 16; d = 4 and more: all of the square, so that Boundary IoU is IoU."""
    truth = square(4, 4, 8)
    counts = boundary_counts(truth, truth, 2, [2, 4, 100])
    assert counts[:, 0, 1].tolist() == [48, 64, 64]
    shifted = square(4, 5, 8)
    assert np.array_equal(boundary_counts(shifted, truth, 2, [100])[0], region_counts(shifted, truth, 2))
    assert boundary_counts(shifted, truth, 2, [4])[0, :, 1].tolist() == [56, 64, 64]


def test_border_of_the_image_is_a_boundary() -> None:
    """As in the authors' code: a mask that fills the image has the image's frame as its boundary."""
    full = np.zeros((6, 5), np.uint8)
    assert boundary_counts(full, full, 1, [1])[0, :, 0].tolist() == [18, 18, 18]


def test_ignored_pixels_are_outside_of_all_masks() -> None:
    truth = square(4, 4, 8)
    truth[:, 8:] = IGNORE
    prediction = square(4, 4, 8)
    counts = boundary_counts(prediction, truth, 2, [1])[0]
    assert counts[:, 1].tolist() == [20, 20, 20]  # the ring of 8 x 4
    assert region_counts(prediction, truth, 2)[:, 1].tolist() == [32, 32, 32]


def by_erosion(labels: np.ndarray, label: int, width: int) -> np.ndarray:
    """mask_to_boundary as the paper's authors publish it: pad, erode by 3 x 3 `width` times, subtract."""
    mask = (labels == label).astype(np.uint8)
    padded = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    eroded = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=width)[1:-1, 1:-1]
    return (mask - eroded).astype(bool)


@settings(max_examples=30, deadline=None)
@given(MASKS, st.integers(1, 5))
def test_boundaries_are_those_of_erosion(shape: tuple[int, int, int], width: int) -> None:
    prediction, truth = random_masks(*shape)
    counts = boundary_counts(prediction, truth, 3, [width])[0]
    seen = np.where(truth == IGNORE, IGNORE, prediction)
    for label in range(3):
        p, t = by_erosion(seen, label, width), by_erosion(truth, label, width)
        assert counts[:, label].tolist() == [(p & t).sum(), p.sum(), t.sum()]


def test_width_is_a_share_of_the_diagonal() -> None:
    assert boundary_width((300, 400), 0.02) == 10
    assert boundary_width((30, 40), 0.001) == 1


@settings(max_examples=30, deadline=None)
@given(MASKS, st.integers(1, 6))
def test_trimap_is_every_pixel_near_another_label(shape: tuple[int, int, int], width: int) -> None:
    _, truth = random_masks(*shape)
    band = trimap(truth, width)
    height, length = truth.shape
    for i in range(height):
        for j in range(length):
            near = False
            for a in range(max(0, i - width), min(height, i + width + 1)):
                for b in range(max(0, j - width), min(length, j + width + 1)):
                    near |= truth[a, b] != truth[i, j] and max(abs(a - i), abs(b - j)) <= width
            # a band along edges: near an edge of other labels counts too
            if near:
                assert band[i, j]
    if width == 1:
        expected = np.zeros_like(band)
        for i in range(height):
            for j in range(length):
                part = truth[max(0, i - 1) : i + 2, max(0, j - 1) : j + 2]
                expected[i, j] = (part != truth[i, j]).any()
        assert np.array_equal(band, expected)


def test_trimap_by_hand() -> None:
    truth = np.repeat([[0, 0, 0, 1, 1, 1]], 4, 0).astype(np.uint8)
    prediction = truth.copy()
    prediction[:, 3] = 0
    assert trimap(truth, 1).sum() == 8
    assert trimap(truth, 2).sum() == 16
    assert trimap_counts(prediction, truth, 2, [1, 3])[:, :, 1].tolist() == [[0, 0, 4], [8, 8, 12]]


def test_objects_by_hand() -> None:
    """A square of 4 pixels and one of 36; the small one missed, three false pixels beside the large one."""
    truth = np.zeros((20, 20), np.uint8)
    truth[2:4, 2:4] = 1
    truth[10:16, 10:16] = 1
    prediction = np.zeros_like(truth)
    prediction[10:16, 10:16] = 1
    prediction[12:15, 16] = 1
    prediction[5, 3] = 1  # nearer to the small one
    counts = object_counts(prediction, truth, 2, [10, 100])
    assert counts[0, :, 1].tolist() == [0, 1, 4]
    assert counts[1, :, 1].tolist() == [36, 39, 36]
    assert counts[2, :, 1].tolist() == [0, 0, 0]
    assert counts[2, :, 0].tolist() == [356, 360, 360]
    assert mean_iou(counts[1].astype(float)) == pytest.approx(100 * 36 / 39)
    assert np.isnan(mean_iou(object_counts(prediction, truth, 2, [1])[0].astype(float)))


def test_objects_touching_at_a_corner_are_one() -> None:
    truth = np.zeros((8, 8), np.uint8)
    truth[1:3, 1:3] = 1
    truth[3:5, 3:5] = 1
    assert object_counts(truth, truth, 2, [5])[:, 2, 1].tolist() == [0, 8]


@settings(max_examples=30, deadline=None)
@given(MASKS)
def test_sizes_share_out_the_pixels_of_a_class(shape: tuple[int, int, int]) -> None:
    """Truth and hits of all sizes together are those of the image; so are predictions where the class is there."""
    prediction, truth = random_masks(*shape)
    counts, whole = object_counts(prediction, truth, 3, [10, 50]).sum(0), region_counts(prediction, truth, 3)
    assert np.array_equal(counts[[0, 2]], whole[[0, 2]])
    there = whole[2] > 0
    assert np.array_equal(counts[1, there], whole[1, there])
    assert not counts[1, ~there].any()


def test_nothing_but_ignored_pixels_counts_nothing() -> None:
    truth = np.full((5, 5), IGNORE, np.uint8)
    prediction = np.zeros_like(truth)
    for counts in (
        region_counts(prediction, truth, 2),
        boundary_counts(prediction, truth, 2, [1]),
        trimap_counts(prediction, truth, 2, [1]),
        object_counts(prediction, truth, 2, [4]),
    ):
        assert not counts.any()
