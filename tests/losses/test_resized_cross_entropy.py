"""The banded loss against the plain one in float64: value and gradient, at any sizes and bands."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import scaseg.losses.resized_cross_entropy as banded
from scaseg.losses.cross_entropy import IGNORE_INDEX, CrossEntropy
from scaseg.losses.segmentation import SegmentationLoss


def total(class_weights: list[float] | None = None) -> SegmentationLoss:
    return SegmentationLoss({"cross_entropy": CrossEntropy(class_weights)})


def plain(logits: Tensor, target: Tensor, class_weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Loss and gradient in float64."""
    logits = logits.detach().double().requires_grad_()
    resized = F.interpolate(logits, size=target.shape[1:], mode="bilinear")
    weights = None if class_weights is None else class_weights.double()
    loss = F.cross_entropy(resized, target.long(), weights, ignore_index=IGNORE_INDEX)
    return loss.detach(), torch.autograd.grad(loss, logits)[0]


def case(classes: int, small: tuple[int, int], size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(classes)
    logits = (3 * torch.randn(2, classes, *small, generator=generator)).requires_grad_()
    target = torch.randint(0, classes, (2, *size), generator=generator)
    target[0, : size[0] // 2] = IGNORE_INDEX
    return logits, target


@given(
    small=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    rows=st.integers(1, 50),
    weighted=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_value_and_gradient(small: tuple[int, int], size: tuple[int, int], rows: int, weighted: bool) -> None:
    logits, target = case(17, small, size)
    weights = torch.linspace(0.2, 3, 17) if weighted else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(banded.BAND_BYTES, "cpu", 4 * 17 * size[1] * rows)
        loss = total(None if weights is None else weights.tolist())(logits, target)
        (grad,) = torch.autograd.grad(loss, logits)
    right, right_grad = plain(logits, target, weights)
    torch.testing.assert_close(loss.double(), right, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(grad.double(), right_grad, rtol=1e-4, atol=1e-6 * float(right_grad.abs().max()))


def test_extreme_logits_stay_finite() -> None:
    logits = torch.full((1, 20, 2, 2), -1e4)
    logits[:, 3] = 1e4
    logits.requires_grad_()
    loss = total()(logits, torch.full((1, 8, 8), 5))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(2e4)
    assert torch.isfinite(logits.grad).all()  # type: ignore[arg-type]


def test_half_precision_logits_are_scored_in_float32() -> None:
    logits, target = case(20, (4, 4), (16, 16))
    half = logits.detach().bfloat16().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = total()(half, target)
    loss.backward()
    right, right_grad = plain(half, target)
    assert loss.dtype is torch.float32
    assert half.grad is not None
    assert half.grad.dtype is torch.bfloat16
    torch.testing.assert_close(loss.double(), right, rtol=1e-5, atol=0)
    torch.testing.assert_close(half.grad.double(), right_grad, rtol=1e-2, atol=1e-4)


def test_the_scale_of_a_loss_scaler_reaches_the_gradient() -> None:
    logits, target = case(20, (4, 4), (16, 16))
    loss = total()(logits, target)
    (grad,) = torch.autograd.grad(1024 * loss, logits, retain_graph=True)
    (once,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(grad, 1024 * once)
