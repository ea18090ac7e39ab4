"""Lovász-Softmax against the integral that the extension is, and against a public one."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scaseg.losses.lovasz import Lovasz, lovasz_softmax
from tests.losses.cases import IGNORE, Array, case, peer, pixels


def integral(errors: Array, inside: npt.NDArray[np.bool_]) -> float:
    """Of the Jaccard loss over thresholds: pixels are wrong where their error is above one; it is constant between."""
    thresholds = [0.0, *sorted(set(errors.tolist()))]
    total = 0.0
    for low, high in pairwise(thresholds):
        wrong = errors >= high
        union = int((inside | wrong).sum())
        total += (high - low) * (1 - int((inside & ~wrong).sum()) / union)
    return total


@given(
    classes=st.integers(1, 5),
    present=st.integers(1, 5),
    ignored=st.sampled_from([0.0, 0.3, 0.95]),
    every=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_it_is_the_mean_integral(classes: int, present: int, ignored: float, every: bool, seed: int) -> None:
    logits, target = case(classes, seed=seed, ignored=ignored, present=min(present, classes))
    seen = pixels(logits, target)
    costs = []
    for k in range(classes):
        inside = np.array([true == k for _, true in seen], bool)
        errors = np.array([1 - p[k] if true == k else p[k] for p, true in seen])
        if seen and (every or inside.any()):
            costs.append(integral(errors, inside))
    loss = lovasz_softmax(logits, target, "all" if every else "present")
    assert float(loss.detach()) == pytest.approx(sum(costs) / max(1, len(costs)), rel=1e-9, abs=1e-12)


def test_hard_predictions_cost_what_iou_lacks() -> None:
    """At certain pixels the extension is the loss itself."""
    target = torch.tensor([[[0, 0, 0, 1, 1, IGNORE]]])
    answers = torch.tensor([[[0, 0, 1, 1, 0, 1]]])
    logits = 200.0 * torch.nn.functional.one_hot(answers, 3).permute(0, 3, 1, 2)
    ious = [2 / 4, 1 / 3]
    assert float(lovasz_softmax(logits, target)) == pytest.approx(1 - sum(ious) / 2)
    assert float(lovasz_softmax(logits, target, "all")) == pytest.approx((2 - sum(ious)) / 3, abs=1e-6)


@pytest.mark.parametrize("present", [4, 2, 1])
def test_it_is_the_public_one(present: int) -> None:
    theirs = peer().LovaszLoss("multiclass", ignore_index=IGNORE)
    logits, target = case(present=present)
    logits = logits.detach().float().requires_grad_()  # theirs takes nothing else
    found, expected = Lovasz().weighed(logits, target)[0], theirs(logits, target)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)
    for ours, right in zip(*(torch.autograd.grad(x, logits) for x in (found, expected)), strict=True):
        torch.testing.assert_close(ours, right, rtol=1e-4, atol=1e-7)


def test_slopes_keep_their_digits_at_a_million_pixels() -> None:
    """Differences of losses near 1 would not, in float32."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 2, 1024, 1024, generator=generator, requires_grad=True)
    target = (torch.rand(1, 1024, 1024, generator=generator) < 0.01).long()
    half = logits.detach().double().requires_grad_()
    (found,), (right,) = (torch.autograd.grad(lovasz_softmax(x, target), x) for x in (logits, half))
    assert float((found - right).abs().sum() / right.abs().sum()) < 1e-5


def test_other_classes_are_an_error() -> None:
    with pytest.raises(ValueError, match="classes=some: choose one of present, all"):
        Lovasz("some")
