"""Calibration against torchmetrics."""

import scaseg.torchvision_fix  # noqa: F401

import numpy as np
import pytest
import torch
from torchmetrics.classification import MulticlassCalibrationError

from scaseg.compare.calibration import calibration_counts, expected_calibration_error
from scaseg.data.labels import IGNORE


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
