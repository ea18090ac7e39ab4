"""Calibration against torchmetrics."""

import scaseg.torchvision_fix  # noqa: F401

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torchmetrics.classification import MulticlassCalibrationError

from scaseg.compare import calibration
from scaseg.compare.calibration import calibration_counts, expected_calibration_error, labels_and_confidence
from scaseg.data.labels import IGNORE
from scaseg.evaluation.inference import scores
from scaseg.evaluation.protocol import Protocol
from scaseg.evaluation.row_bands import Held, Resized


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
