import pytest
import torch
import torch.nn.functional as F

from scaseg.losses import IGNORE_INDEX, SegmentationLoss, cross_entropy, dice_loss, ohem_cross_entropy


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 6, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    target = torch.randint(0, 4, (2, 6, 5), generator=generator)
    target[0, :2] = IGNORE_INDEX
    return logits, target


def test_cross_entropy_is_torchs(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, target = pair
    weights = torch.tensor([1.0, 0.5, 2.0, 3.0], dtype=torch.float64)
    for weight in (None, weights):
        expected = F.cross_entropy(logits, target, weight, ignore_index=IGNORE_INDEX)
        assert torch.allclose(cross_entropy(logits, target, weight), expected, rtol=1e-12)


@pytest.mark.parametrize("options", [{}, {"ohem": True}, {"dice": 1.0}, {"class_weights": [1.0, 2.0, 3.0, 4.0]}])
def test_a_batch_without_a_label_costs_nothing(options: dict[str, object]) -> None:
    logits = torch.randn(1, 4, 4, 4, requires_grad=True)
    loss = SegmentationLoss(**options)(logits, torch.full((1, 8, 8), IGNORE_INDEX, dtype=torch.uint8))  # type: ignore[arg-type]
    loss.backward()
    assert torch.isfinite(loss)
    assert logits.grad is not None
    assert logits.grad.abs().max() == 0


def test_ignored_pixels_get_no_gradient(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, target = pair
    for loss in (
        cross_entropy(logits, target),
        dice_loss(logits, target),
        ohem_cross_entropy(logits, target, 0.5, 3),
    ):
        (grad,) = torch.autograd.grad(loss, logits)
        assert grad[0, :, :2].abs().max() == 0
        assert grad[1].abs().max() > 0


def test_ohem_keeps_what_a_sort_keeps(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, target = pair
    labelled = target != IGNORE_INDEX
    losses = F.cross_entropy(logits, target.where(labelled, 0), reduction="none")[labelled]
    hardest = losses.sort(descending=True).values
    assert torch.allclose(ohem_cross_entropy(logits, target, threshold=0.0, min_kept=7), hardest[:7].mean())
    under = losses[torch.exp(-losses) <= 0.4]
    assert torch.allclose(ohem_cross_entropy(logits, target, threshold=0.4, min_kept=1), under.mean())


def test_dice_of_a_perfect_and_of_a_wrong_prediction() -> None:
    target = torch.tensor([[[0, 0, 1, 1]]])
    right = F.one_hot(target, 2).permute(0, 3, 1, 2) * 200.0
    assert float(dice_loss(right, target)) == pytest.approx(0, abs=1e-6)
    # no overlap: each class scores smooth / (2 + 2 + smooth)
    assert float(dice_loss(-right, target)) == pytest.approx(1 - 1 / 5)


def test_logits_are_brought_to_the_targets_size() -> None:
    logits = torch.randn(1, 3, 4, 4)
    target = torch.randint(0, 3, (1, 16, 16), dtype=torch.uint8)
    expected = F.cross_entropy(F.interpolate(logits, size=(16, 16), mode="bilinear"), target.long())
    assert torch.allclose(SegmentationLoss()(logits, target), expected)


def test_class_weights_of_another_length_are_an_error() -> None:
    with pytest.raises(ValueError, match="2 class weights for 3 classes"):
        SegmentationLoss(class_weights=[1.0, 2.0])(torch.randn(1, 3, 2, 2), torch.zeros(1, 2, 2))
