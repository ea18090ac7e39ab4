"""The Tversky losses against their formula, pixel by pixel in float64, and against public ones."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scaseg.losses.dice import dice_loss
from scaseg.losses.tversky import Tversky, tversky_loss
from tests.losses.cases import IGNORE, case, peer, pixels


@given(
    classes=st.integers(1, 5),
    present=st.integers(1, 5),
    alpha=st.floats(0, 1),
    beta=st.floats(0, 1),
    gamma=st.sampled_from([0.75, 1.0, 4 / 3, 3.0]),
    smooth=st.sampled_from([1e-6, 1.0, 7.0]),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_it_is_the_papers_index(
    classes: int, present: int, alpha: float, beta: float, gamma: float, smooth: float, seed: int
) -> None:
    logits, target = case(classes, seed=seed, present=min(present, classes))
    costs = []
    for k in range(classes):
        found = wrong = missed = 0.0
        for p, true in pixels(logits, target):
            if true == k:
                found, missed = found + p[k], missed + 1 - p[k]
            else:
                wrong += p[k]
        index = (found + smooth) / (found + alpha * wrong + beta * missed + smooth)
        costs.append(max(0.0, 1 - index) ** (1 / gamma))
    loss = tversky_loss(logits, target, alpha, beta, gamma, smooth)
    assert float(loss.detach()) == pytest.approx(sum(costs) / classes, rel=1e-6, abs=1e-4 if gamma > 1 else 1e-9)


def test_gradients_are_those_of_differences() -> None:
    logits, target = case(3, (3, 3))
    for gamma in (1.0, 4 / 3, 3.0):
        assert torch.autograd.gradcheck(lambda x, g=gamma: tversky_loss(x, target, gamma=g), logits)


@pytest.mark.parametrize(("alpha", "beta"), [(0.3, 0.7), (1.0, 0.2)])
def test_it_is_the_public_one(alpha: float, beta: float) -> None:
    theirs = peer().TverskyLoss("multiclass", smooth=1.0, ignore_index=IGNORE, alpha=alpha, beta=beta)
    logits, target = case()
    torch.testing.assert_close(Tversky(alpha, beta).weighed(logits, target)[0], theirs(logits, target))


def test_halves_are_the_dice_loss_ours_and_the_public_one() -> None:
    logits, target = case()
    halves = tversky_loss(logits, target, 0.5, 0.5, smooth=0.5).float()
    torch.testing.assert_close(halves, dice_loss(logits, target, smooth=1.0))
    theirs = peer().DiceLoss("multiclass", smooth=0.5, ignore_index=IGNORE)
    torch.testing.assert_close(halves, theirs(logits, target).float())


def test_a_class_that_is_right_has_a_gradient_whatever_gamma_is() -> None:
    """A root has no slope at 0: there the loss goes to it on a chord, without a step."""
    logits = torch.tensor([[[[60.0, 60.0]], [[-60.0, -60.0]]]], requires_grad=True)
    loss = tversky_loss(logits, torch.tensor([[[0, 0]]]), gamma=3.0)
    (grad,) = torch.autograd.grad(loss, logits)
    assert float(loss.detach()) == pytest.approx(0, abs=1e-6)
    assert torch.isfinite(grad).all()


def test_both_weights_0_are_an_error() -> None:
    with pytest.raises(ValueError, match="alpha=0 and beta=0: no mistake would cost anything"):
        Tversky(0, 0)
