"""What every term of the loss keeps: ignored pixels take no part, nothing is not finite, parts make up the whole."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scaseg.losses.boundary import Boundary
from scaseg.losses.cross_entropy import CrossEntropy
from scaseg.losses.dice import Dice
from scaseg.losses.focal import Focal
from scaseg.losses.lovasz import Lovasz
from scaseg.losses.segmentation import SegmentationLoss
from scaseg.losses.term import Term
from scaseg.losses.tversky import Tversky
from tests.losses.cases import IGNORE, case

TERMS: dict[str, Term] = {
    "cross_entropy": CrossEntropy(),
    "smoothed": CrossEntropy(label_smoothing=0.1),
    "dice": Dice(),
    "focal": Focal(),
    "focal, small": Focal(gamma=0.3),
    "lovasz": Lovasz(),
    "lovasz of all": Lovasz("all"),
    "tversky": Tversky(),
    "focal tversky": Tversky(gamma=4 / 3),
    "boundary": Boundary(),
}
every = pytest.mark.parametrize("term", TERMS.values(), ids=TERMS)


@every
def test_a_batch_without_a_label_costs_nothing(term: Term) -> None:
    logits = torch.randn(2, 4, 4, 4, requires_grad=True)
    loss, weight = SegmentationLoss({"it": term}).weighed(logits, torch.full((2, 8, 8), IGNORE, dtype=torch.uint8))
    (grad,) = torch.autograd.grad(loss, logits)
    assert (float(loss.detach()), float(weight)) == (0, 0)
    assert grad.abs().max() == 0


@every
def test_ignored_pixels_take_no_part(term: Term) -> None:
    logits, target = case()
    loss, weight = term.weighed(logits, target)
    (grad,) = torch.autograd.grad(loss, logits)
    ignored = (target == IGNORE).unsqueeze(1).expand_as(logits)
    assert grad[ignored].abs().max() == 0
    assert grad[~ignored].abs().max() > 0
    assert weight == (target != IGNORE).sum()
    other = torch.where(ignored, 9 * torch.randn(logits.shape, dtype=torch.float64), logits.detach())
    torch.testing.assert_close(term.weighed(other, target)[0], loss.detach())
    torch.testing.assert_close(term.weighed(logits[:2], target[:2])[0], loss)


@every
@given(
    classes=st.integers(1, 5),
    present=st.integers(1, 5),
    ignored=st.sampled_from([0.0, 0.9]),
    scale=st.sampled_from([0.0, 1.0, 1e2, 1e4]),
    seed=st.integers(0, 99),
)
@settings(max_examples=20, deadline=None)
def test_gradients_are_finite(term: Term, classes: int, present: int, ignored: float, scale: float, seed: int) -> None:
    """At a single class too, in float32, and where the answer is certain, right or wrong."""
    logits, target = case(classes, (3, 4), seed, ignored, min(present, classes))
    logits = (scale * logits.detach()).float().requires_grad_()
    loss, _ = SegmentationLoss({"it": term}).weighed(logits, target)
    (grad,) = torch.autograd.grad(loss, logits)
    assert loss.dtype is torch.float32
    assert torch.isfinite(loss) and torch.isfinite(grad).all()
    if classes == 1:
        assert float(loss.detach()) == pytest.approx(0, abs=1e-5)
        assert grad.abs().max() < 1e-5


@every
def test_half_precision_logits_are_scored_in_float32(term: Term) -> None:
    logits, target = case()
    half = logits.detach().bfloat16().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = SegmentationLoss({"it": term})(half, target)
    assert loss.dtype is torch.float32
    torch.testing.assert_close(loss, SegmentationLoss({"it": term})(half.float(), target))
    (grad,) = torch.autograd.grad(loss, half)
    assert torch.isfinite(grad).all()


@pytest.mark.parametrize(
    "term", [Focal(), Focal(class_weights=[1, 2, 0.5, 3]), Boundary(), CrossEntropy(label_smoothing=0.1)]
)
def test_parts_of_a_batch_make_up_the_whole(term: Term) -> None:
    logits, target = case()
    whole, weight = term.weighed(logits, target)
    parts = [term.weighed(logits[i : i + 1], target[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(sum(loss * count for loss, count in parts) / weight, whole)
