"""mIoU of single images and of the worst of them, against a second reading of their definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaseg.evaluation.regions import image_terms, mean_over_images, region_counts

IGNORE = 255


def second_reading(masks: list[tuple[np.ndarray, np.ndarray]], classes: int) -> tuple[float, float]:
    """Wang et al. (2023): IoU of each image over its truth's classes; their mean, and that of the lowest tenth."""
    scores = []
    for prediction, truth in masks:
        known = truth != IGNORE
        ious = []
        for label in range(classes):
            a, b = (prediction == label) & known, (truth == label) & known
            if b.any():
                ious.append(100 * (a & b).sum() / (a | b).sum())
        if ious:
            scores.append(np.mean(ious))
    lowest = sorted(scores)[: max(1, len(scores) // 10)]
    return float(np.mean(scores)), float(np.mean(lowest))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([1, 3, 9, 10, 20, 30]), st.integers(0, 9999))
def test_against_a_second_reading(number: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    masks = [tuple(generator.integers(0, 4, (2, 5, 7)).astype(np.uint8)) for _ in range(number)]
    for _, truth in masks:
        truth[generator.random(truth.shape) < 0.1] = IGNORE
    masks.append((np.zeros((5, 7), np.uint8), np.full((5, 7), IGNORE, np.uint8)))  # nothing to score in it
    counts = np.stack([region_counts(prediction, truth, 5) for prediction, truth in masks])
    terms = image_terms(counts)
    found = [float(mean_over_images(terms[name].sum(0))[0]) for name in ("image", "worst")]
    assert found == pytest.approx(second_reading(masks, 5))


def test_of_15_images_the_worst_one_and_a_half() -> None:
    """A tenth that ends within an image counts its share of it."""
    counts = np.array([[[i + 1], [10], [20]] for i in range(15)])
    values = [100 * (i + 1) / (30 - (i + 1)) for i in range(15)]
    terms = image_terms(counts)
    assert mean_over_images(terms["worst"].sum(0))[0] == pytest.approx((values[0] + values[1] / 2) / 1.5)


def test_of_nothing() -> None:
    terms = image_terms(np.zeros((2, 3, 4), np.int64))
    assert np.isnan(mean_over_images(terms["image"].sum(0))).all()
    assert np.isnan(mean_over_images(terms["worst"].sum(0))).all()
