import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scaseg.data.labels import IGNORE as IGNORE_INDEX
from scaseg.evaluation.counter import ConfusionMatrix
from scaseg.evaluation.metrics import confusion_matrix, scores, table


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 40), st.integers(1, 500), st.integers(0, 10**6))
def test_counts_are_those_of_a_loop(classes: int, pixels: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    prediction = generator.integers(0, classes, pixels)
    target = generator.integers(0, classes + 1, pixels)
    target[target == classes] = IGNORE_INDEX
    expected = np.zeros((classes, classes), np.int64)
    for p, t in zip(prediction, target, strict=True):
        if t != IGNORE_INDEX:
            expected[t, p] += 1
    for dtype in (torch.uint8, torch.int64):
        counts = confusion_matrix(
            torch.from_numpy(prediction).to(dtype), torch.from_numpy(target).to(torch.uint8), classes
        )
        assert counts.dtype == torch.int64
        assert counts.tolist() == expected.tolist()


def test_scores_of_a_matrix_worked_out_by_hand() -> None:
    # class 0: 3 right, 1 taken for class 1; class 1: 2 right, 2 taken for class 0; class 2: not in the truth
    result = scores(torch.tensor([[3, 1, 0], [2, 2, 0], [0, 0, 0]]))
    assert result.iou[:2] == pytest.approx([100 * 3 / 6, 100 * 2 / 5])
    assert math.isnan(result.iou[2])
    assert result.absent == [2]
    assert result.mean_iou == pytest.approx((50 + 40) / 2)
    assert result.mean_accuracy == pytest.approx((75 + 50) / 2)
    assert result.pixel_accuracy == pytest.approx(100 * 5 / 8)


def test_a_predicted_class_that_the_truth_lacks_stays_out_of_the_mean() -> None:
    result = scores(torch.tensor([[4, 1], [0, 0]]))
    assert result.absent == [1]
    assert result.mean_iou == pytest.approx(80)
    assert "absent" in table(result, ["a", "b"])


def test_the_mean_is_of_the_whole_set_and_not_of_batches() -> None:
    generator = torch.Generator().manual_seed(0)
    prediction = torch.randint(0, 5, (6, 8, 9), generator=generator)
    target = torch.randint(0, 5, (6, 8, 9), generator=generator)
    whole, parts = ConfusionMatrix(5), ConfusionMatrix(5)
    whole.update(prediction, target)
    for i in range(6):
        parts.update(prediction[i : i + 1], target[i : i + 1])
    assert torch.equal(whole.compute(), parts.compute())


def test_agrees_with_torchmetrics() -> None:
    from torchmetrics.functional.classification import multiclass_confusion_matrix

    generator = torch.Generator().manual_seed(1)
    prediction = torch.randint(0, 7, (2, 33, 17), generator=generator)
    target = torch.randint(0, 7, (2, 33, 17), generator=generator)
    target[0, :5] = IGNORE_INDEX
    theirs = multiclass_confusion_matrix(prediction, target, 7, ignore_index=IGNORE_INDEX)
    assert torch.equal(confusion_matrix(prediction, target, 7), theirs)
