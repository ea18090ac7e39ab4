"""Calibration against torchmetrics, and intervals against what they promise."""

import scaseg.torchvision_fix  # noqa: F401

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torchmetrics.classification import MulticlassCalibrationError

from scaseg.compare import bootstrap, calibration
from scaseg.compare.calibration import calibration_counts, expected_calibration_error, labels_and_confidence
from scaseg.compare.measures import mean_iou
from scaseg.data.labels import IGNORE
from scaseg.evaluation.inference import scores
from scaseg.evaluation.protocol import Protocol
from scaseg.evaluation.rows import Held, Resized


def test_confidence_is_the_softmax_of_the_resized_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    logits = 5 * torch.randn(1, 6, 9, 13)
    for size in ((36, 52), (35, 40), (9, 13), (5, 6)):
        expected, labels = F.interpolate(logits, size=size, mode="bilinear").softmax(1).max(1)
        for rows in (1000, 4):
            monkeypatch.setattr(calibration, "BAND_BYTES", 4 * 6 * size[1] * rows)
            found = labels_and_confidence(Resized(Held(logits), size))
            torch.testing.assert_close(found[1], expected, rtol=1e-4, atol=1e-6)
            assert (found[0] == labels).all()


def test_confidence_of_several_views_is_their_mean_probability() -> None:
    torch.manual_seed(0)
    images = torch.randn(1, 6, 8, 10)
    found, confidence = labels_and_confidence(scores(lambda x: x * 3, images, (8, 10), Protocol(flip=True)))
    assert (found == images.argmax(1)).all()
    torch.testing.assert_close(confidence, (3 * images).softmax(1).amax(1))


def test_calibration_error_is_torchmetrics() -> None:
    torch.manual_seed(0)
    logits = torch.randn(1, 5, 30, 40)
    truth = torch.randint(0, 5, (30, 40))
    truth[:3] = IGNORE
    probabilities = logits.softmax(1)
    confidence, prediction = probabilities.max(1)
    counts = calibration_counts(
        confidence[0].numpy(), prediction[0].numpy().astype(np.uint8), truth.numpy().astype(np.uint8), 15
    )
    known = truth != IGNORE
    metric = MulticlassCalibrationError(num_classes=5, n_bins=15, norm="l1")
    expected = 100 * float(metric(probabilities[0].permute(1, 2, 0)[known], truth[known]))
    assert float(expected_calibration_error(counts)) == pytest.approx(expected, abs=1e-4)


def test_calibration_by_hand() -> None:
    """Two pixels at 0.9, one right; two at 0.6, both right: (2 |0.9 - 0.5| + 2 |0.6 - 1|) / 4 = 0.4."""
    confidence = np.array([[0.9, 0.9], [0.6, 0.6]], np.float32)
    prediction, truth = np.zeros((2, 2), np.uint8), np.array([[0, 1], [0, 0]], np.uint8)
    counts = calibration_counts(confidence, prediction, truth, 10)
    assert float(expected_calibration_error(counts)) == pytest.approx(40, abs=1e-4)


def two_models(generator: np.random.Generator, images: int) -> list[dict[str, np.ndarray]]:
    """Counts (images, 3, K) of two models on the same images: harder images are harder for both."""
    pixels = generator.multinomial(1000, generator.dirichlet([2.0, 1.0, 0.5], images))
    hardness = generator.beta(4, 2, (images, 1))
    found = []
    for skill in (0.8, 0.85):
        hits = generator.binomial(pixels, np.clip(skill * hardness, 0, 1))
        wrong = (pixels - hits).sum(1, keepdims=True) // 3
        found.append({"region": np.stack([hits, hits + wrong, pixels], 1)})
    return found


def test_intervals_cover_the_truth_at_their_level() -> None:
    """500 sets of 80 images: the true difference of mIoU lies in the 90 % interval in 90 % of them, within error."""
    generator = np.random.default_rng(0)
    measure = lambda sums: mean_iou(sums["region"])  # noqa: E731
    first, second = two_models(generator, 200_000)
    truth = bootstrap.total(second, measure) - bootstrap.total(first, measure)
    covered, sets = 0, 500
    for seed in range(sets):
        first, second = two_models(generator, 80)
        drawn = bootstrap.weights(80, 300, seed)
        samples = bootstrap.resampled(second, measure, drawn) - bootstrap.resampled(first, measure, drawn)
        change = bootstrap.total(second, measure) - bootstrap.total(first, measure)
        found = bootstrap.interval(change, samples, 0.9)
        covered += found.low <= truth <= found.high
    assert 0.9 - 3 * np.sqrt(0.9 * 0.1 / sets) <= covered / sets <= 0.9 + 3 * np.sqrt(0.9 * 0.1 / sets)


def test_pairing_makes_intervals_narrow() -> None:
    generator = np.random.default_rng(1)
    measure = lambda sums: mean_iou(sums["region"])  # noqa: E731
    first, second = two_models(generator, 100)
    drawn, other = bootstrap.weights(100, 500, 0), bootstrap.weights(100, 500, 1)
    one = bootstrap.resampled(first, measure, drawn)
    paired = bootstrap.resampled(second, measure, drawn) - one
    unpaired = bootstrap.resampled(second, measure, other) - one
    assert paired.std() < 0.5 * unpaired.std()


def test_resamples_are_the_sets_they_stand_for() -> None:
    statistics = {"region": np.random.default_rng(0).integers(1, 50, (7, 3, 4))}
    drawn = bootstrap.weights(7, 200, 3)
    assert drawn.sum(1).tolist() == [7.0] * 200
    assert np.array_equal(drawn, bootstrap.weights(7, 200, 3))
    measure = lambda sums: sums["region"][..., 0, :].sum(-1)  # noqa: E731
    found = bootstrap.resampled(statistics, measure, drawn)
    for weight, value in zip(drawn[:20], found, strict=False):
        again = np.repeat(np.arange(7), weight.astype(int))
        assert value == statistics["region"][again, 0].sum()


def test_what_has_no_value_has_no_interval() -> None:
    nothing = bootstrap.interval(float("nan"), np.array([1.0, 2.0]), 0.9)
    assert np.isnan([nothing.value, nothing.low, nothing.high]).all()
    some = bootstrap.interval(1.0, np.array([np.nan, 1.0, 1.0]), 0.9)
    assert (some.low, some.high) == (1.0, 1.0)
