import importlib

import pytest
import torch
import torch.nn.functional as F

from scaseg.losses.cross_entropy import IGNORE_INDEX, CrossEntropy, cross_entropy, ohem_cross_entropy
from scaseg.losses.dice import Dice, dice_loss
from scaseg.losses.segmentation import SegmentationLoss
from scaseg.losses.term import Term
from tests.models.peers import mmseg


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


def total(**options: object) -> SegmentationLoss:
    return SegmentationLoss({"cross_entropy": CrossEntropy(**options)})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "terms",
    [
        {"cross_entropy": CrossEntropy()},
        {"cross_entropy": CrossEntropy(ohem=True)},
        {"cross_entropy": CrossEntropy(), "dice": Dice()},
        {"dice": Dice()},
        {"cross_entropy": CrossEntropy(class_weights=[1.0, 2.0, 3.0, 4.0])},
    ],
    ids=["plain", "ohem", "sum", "dice", "weighted"],
)
def test_a_batch_without_a_label_costs_nothing(terms: dict[str, Term]) -> None:
    logits = torch.randn(1, 4, 4, 4, requires_grad=True)
    loss = SegmentationLoss(terms)(logits, torch.full((1, 8, 8), IGNORE_INDEX, dtype=torch.uint8))
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
    assert torch.allclose(total()(logits, target), expected)


def test_terms_are_summed_by_their_weights() -> None:
    logits, target = torch.randn(2, 3, 4, 4), torch.randint(0, 3, (2, 16, 16))
    large = F.interpolate(logits, size=(16, 16), mode="bilinear")
    expected = 0.5 * cross_entropy(large, target) + 2.0 * dice_loss(large, target)
    terms = {"cross_entropy": CrossEntropy(), "dice": Dice()}
    assert torch.allclose(SegmentationLoss(terms, {"cross_entropy": 0.5, "dice": 2.0})(logits, target), expected)
    with pytest.raises(ValueError, match="a loss without a term"):
        SegmentationLoss({})


def test_class_weights_of_another_length_are_an_error() -> None:
    with pytest.raises(ValueError, match="2 class weights for 3 classes"):
        total(class_weights=[1.0, 2.0])(torch.randn(1, 3, 2, 2), torch.zeros(1, 2, 2))


@pytest.mark.parametrize("average", ["labelled", "all"])
@pytest.mark.parametrize("classes", [4, 20], ids=["plain", "banded"])
def test_both_averages_are_mmsegmentations(average: str, classes: int) -> None:
    """`all` is its default, avg_non_ignore=False; seen at a third of the pixels labelled, as padded crops have it."""
    mmseg()
    theirs = importlib.import_module("mmseg.models.losses.cross_entropy_loss").cross_entropy
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, classes, 16, 16, generator=generator, requires_grad=True)
    target = torch.randint(0, classes, (2, 16, 16), generator=generator)
    target[:, :, 6:] = IGNORE_INDEX
    expected = theirs(logits, target, ignore_index=IGNORE_INDEX, avg_non_ignore=average == "labelled")
    loss, weight = total(average=average).weighed(logits, target)
    assert weight == (2 * 16 * 6 if average == "labelled" else target.numel())
    torch.testing.assert_close(loss, expected)
    ours, right = (torch.autograd.grad(x, logits)[0] for x in (loss, expected))
    torch.testing.assert_close(ours, right)


def test_hard_pixels_averaged_over_all_are_mmsegmentations(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    """There a pixel that is not hard counts with loss 0; min_kept is of an image."""
    logits, target = pair
    losses = F.cross_entropy(logits, target, reduction="none", ignore_index=IGNORE_INDEX)
    hard = (target != IGNORE_INDEX) & (torch.exp(-losses) < 0.4)
    expected = (losses * hard).sum() / target.numel()
    found = ohem_cross_entropy(logits, target, 0.4, 1, average="all")
    torch.testing.assert_close(found, expected)
    kept = total(ohem=True, ohem_threshold=0.0, ohem_min_kept=5).weighed(logits, target)[1]
    assert kept == 10


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("classes", [4, 20], ids=["few", "as many as are banded without it"])
def test_label_smoothing_is_torchs(weighted: bool, classes: int) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, classes, 8, 8, generator=generator, requires_grad=True)
    target = torch.randint(0, classes, (2, 8, 8), generator=generator)
    target[0, :3] = IGNORE_INDEX
    weights = torch.linspace(0.5, 2, classes) if weighted else None
    expected = F.cross_entropy(logits, target, weights, ignore_index=IGNORE_INDEX, label_smoothing=0.2)
    loss = total(class_weights=None if weights is None else weights.tolist(), label_smoothing=0.2)(logits, target)
    torch.testing.assert_close(loss, expected)
    ours, right = (torch.autograd.grad(x, logits)[0] for x in (loss, expected))
    torch.testing.assert_close(ours, right)
    hard = ohem_cross_entropy(logits, target, 1.0, 1, weights, "all", 0.2) * target.numel()
    divisor = (target != IGNORE_INDEX).sum() if weights is None else weights[target[target != IGNORE_INDEX]].sum()
    torch.testing.assert_close(hard, expected * divisor)


def test_label_smoothing_of_0_changes_no_bit(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, target = pair
    for weights in (None, [1.0, 0.5, 2.0, 3.0]):
        given = None if weights is None else torch.tensor(weights)
        divisor = (target != IGNORE_INDEX).sum() if given is None else given[target[target != IGNORE_INDEX]].sum()
        single = logits.detach().float().requires_grad_()
        before = F.cross_entropy(single, target, given, ignore_index=IGNORE_INDEX, reduction="sum") / divisor
        after = CrossEntropy(weights, label_smoothing=0.0).weighed(single, target)[0]
        assert torch.equal(before, after)
        assert torch.equal(*(torch.autograd.grad(x, single)[0] for x in (before, after)))


def test_dice_of_what_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="classes=al: choose one of all, foreground"):
        Dice(classes="al")
    with pytest.raises(ValueError, match="of one class there is no other"):
        dice_loss(torch.zeros(1, 1, 2, 2), torch.zeros(1, 2, 2, dtype=torch.int64), classes="foreground")
