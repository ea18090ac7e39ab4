"""The focal loss against its formula, pixel by pixel in float64, and against a public one."""

import importlib
from math import log

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scaseg.losses.cross_entropy import cross_entropy
from scaseg.losses.focal import Focal, focal_loss
from tests.losses.cases import IGNORE, case, peer, pixels


@given(
    classes=st.integers(1, 6),
    gamma=st.sampled_from([0.0, 0.3, 1.0, 2.0, 5.0]),
    weighted=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(max_examples=30, deadline=None)
def test_it_is_the_papers_sum(classes: int, gamma: float, weighted: bool, seed: int) -> None:
    logits, target = case(classes, seed=seed)
    weights = [0.5 + k for k in range(classes)] if weighted else [1.0] * classes
    total = count = 0.0
    for p, k in pixels(logits, target):
        total -= weights[k] * (1 - p[k]) ** gamma * log(p[k])
        count += weights[k]
    each = torch.tensor(weights, dtype=torch.float64) if weighted else None
    loss = focal_loss(logits, target, gamma, each)
    assert float(loss.detach()) == pytest.approx(total / count, rel=1e-9, abs=1e-12)
    if classes > 1:
        assert torch.autograd.gradcheck(lambda x: focal_loss(x, target, gamma, each), logits)


def test_without_gamma_it_is_the_cross_entropy() -> None:
    logits, target = case()
    weights = torch.tensor([1.0, 0.5, 2.0, 0.0], dtype=torch.float64)
    for each in (None, weights):
        torch.testing.assert_close(focal_loss(logits, target, 0.0, each), cross_entropy(logits, target, each))


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_it_is_the_public_one(gamma: float) -> None:
    peer()
    theirs = importlib.import_module("segmentation_models_pytorch.losses._functional").softmax_focal_loss_with_logits
    logits, target = case()
    labelled = target != IGNORE
    flat = logits.permute(0, 2, 3, 1)[labelled]
    expected = theirs(flat, target[labelled], gamma=gamma)
    found = Focal(gamma).weighed(logits, target)[0]
    torch.testing.assert_close(found, expected)
    for ours, right in zip(*(torch.autograd.grad(x, logits) for x in (found, expected)), strict=True):
        torch.testing.assert_close(ours, right)


def test_a_certain_pixel_has_a_gradient_whatever_gamma_is() -> None:
    """A power below 1 has no slope at 0, where the probability rounds to 1."""
    logits = torch.tensor([[[[200.0, -200.0]], [[-200.0, 200.0]]]], requires_grad=True)
    for gamma in (0.0, 0.1, 1.0, 2.0):
        loss = focal_loss(logits, torch.tensor([[[0, 0]]]), gamma)
        (grad,) = torch.autograd.grad(loss, logits)
        assert float(loss.detach()) == pytest.approx(200)
        assert torch.isfinite(grad).all()
        assert grad[0, :, 0, 1].tolist() == pytest.approx([-0.5, 0.5])


def test_class_weights_of_another_length_are_an_error() -> None:
    with pytest.raises(ValueError, match="2 class weights for 3 classes"):
        Focal(class_weights=[1, 2]).weighed(torch.randn(1, 3, 2, 2), torch.zeros(1, 2, 2, dtype=torch.int64))
