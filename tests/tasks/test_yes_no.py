"""Thresholds, figures and losses of binary tasks against plain NumPy readings of their definitions."""

import scaseg.torchvision_fix  # noqa: F401

import numpy as np
import pytest
import torch

from scaseg.data.labels import IGNORE
from scaseg.errors import UserError
from scaseg.evaluation.counter import Counter
from scaseg.evaluation.inference import scores
from scaseg.evaluation.levels import EVEN, STEPS, step_of
from scaseg.evaluation.more_metrics import COLUMNS, Counted, more_metrics
from scaseg.evaluation.protocol import MeanOver, Protocol
from scaseg.evaluation.thresholds import best_thresholds, level_counts, levels_of
from scaseg.losses.cross_entropy import CrossEntropy
from scaseg.losses.dice import Dice
from scaseg.losses.segmentation import SegmentationLoss
from scaseg.losses.yes_no import YesNoLoss
from scaseg.tasks.binary import Binary
from scaseg.tasks.build import build_task


def drawn(seed: int = 0, shape: tuple[int, ...] = (4, 1, 23, 31)) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits that know something of their masks, and masks with ignored pixels."""
    generator = np.random.default_rng(seed)
    truth = (generator.random(shape) < 0.2).astype(np.uint8)
    logits = 2.0 * truth - 2.5 + generator.normal(size=shape)
    truth[generator.random(shape) < 0.1] = IGNORE
    return torch.from_numpy(logits.astype(np.float32)), torch.from_numpy(truth[:, 0])


def plain_iou(probability: np.ndarray, truth: np.ndarray, threshold: float) -> float:
    yes, there = (probability >= threshold) & (truth != IGNORE), truth == 1
    return float((yes & there).sum() / (yes | there).sum())


def counted(task: Binary, logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    counter = Counter(task.shape, task.counted)
    for image, mask in zip(logits, masks, strict=True):
        counter.update(levels_of(image[None].sigmoid()), task.target(mask[None]))
    return counter.counts()


@pytest.mark.parametrize("seed", range(5))
def test_the_threshold_is_the_best_of_all(seed: int) -> None:
    logits, masks = drawn(seed)
    task = Binary(2)
    (found,) = task.thresholds(counted(task, logits, masks))
    probability, truth = logits.sigmoid().numpy()[:, 0], masks.numpy()
    all_of_them = {k / STEPS: plain_iou(probability, truth, k / STEPS) for k in range(1, STEPS)}
    assert all_of_them[found] == max(all_of_them.values()) > all_of_them[EVEN]


def test_of_equal_thresholds_the_one_nearest_to_the_middle() -> None:
    levels = torch.tensor([10, 10, 30, 200, 220], dtype=torch.uint8).view(1, 1, 1, 5)
    answers = torch.tensor([0, 0, 0, 1, 1], dtype=torch.uint8).view(1, 1, 1, 5)
    assert best_thresholds(level_counts(levels, answers)) == (EVEN,)
    assert best_thresholds(level_counts(levels[..., [0, 2]], answers[..., [0, 2]])) == (EVEN,), "nothing is yes"
    assert best_thresholds(level_counts(levels - 5, 1 - answers * 0)) == (5 / STEPS,), "all is yes: below them all"


@pytest.mark.parametrize("threshold", [1 / STEPS, 0.25, 0.5, 255 / STEPS])
def test_figures_are_those_of_a_plain_reading(threshold: float) -> None:
    logits, masks = drawn(7)
    task = Binary(2)
    counts = counted(task, logits, masks)
    found = task.scores(counts, [threshold], MeanOver.truth)
    truth = masks.numpy()
    known = truth != IGNORE
    yes = (1 / (1 + np.exp(-logits.numpy()[:, 0].astype(np.float64))) >= threshold)[known]
    there = truth[known] == 1
    hits, wrong, missed = (yes & there).sum(), (yes & ~there).sum(), (~yes & there).sum()
    other = (~yes & ~there).sum()
    ious = [100 * other / (other + wrong + missed), 100 * hits / (hits + wrong + missed)]
    assert found.iou == pytest.approx(ious, rel=1e-12)
    assert found.mean_iou == pytest.approx(np.mean(ious), rel=1e-12)
    assert found.pixel_accuracy == pytest.approx(100 * (yes == there).mean(), rel=1e-12)
    assert found.pixels == [(~there).sum(), there.sum()]
    seen = [levels_of(image.sigmoid()) for image in logits]
    images = np.stack([task.image_counts(one.numpy(), mask.numpy()) for one, mask in zip(seen, masks, strict=True)])
    told = more_metrics(task.told, Counted(task.regions(images, [threshold])))
    precision, recall = hits / (hits + wrong) if hits + wrong else 0.0, hits / there.sum()
    assert told[COLUMNS["precision"]] == pytest.approx(100 * precision)
    assert told[COLUMNS["recall"]] == pytest.approx(100 * recall)
    assert told[COLUMNS["dice"]] == pytest.approx(100 * 2 * hits / (2 * hits + wrong + missed))


def test_labels_are_what_the_counts_are_of() -> None:
    """Through resizing, windows and mirrored views: the mean of the views' probabilities is compared."""
    task = Binary(2)
    weight = torch.randn(3, generator=torch.Generator().manual_seed(0))

    def model(images: torch.Tensor) -> torch.Tensor:
        slope = torch.linspace(-1, 1, images.shape[3] // 2)  # mirrored images have other scores
        return (images[:, :, ::2, ::2] * weight.view(-1, 1, 1)).sum(1, keepdim=True) + slope

    images = torch.randn(2, 3, 32, 48, generator=torch.Generator().manual_seed(1))
    both = scores(model, images, (32, 48), Protocol(flip=True), 1, task.probabilities)
    labels = task.labels(task.seen(both), [100 / STEPS])
    one = torch.nn.functional.interpolate(model(images), size=(32, 48), mode="bilinear").sigmoid()
    other = torch.nn.functional.interpolate(model(images.flip(3)), size=(32, 48), mode="bilinear").sigmoid().flip(3)
    assert labels.dtype == torch.uint8 and labels.shape == (2, 32, 48)
    expected = ((one + other) / 2)[:, 0] >= 100 / STEPS
    assert (labels.bool() == expected).float().mean() > 0.999  # bands and whole maps round apart


def test_cross_entropy_is_that_of_the_sigmoid() -> None:
    logits, masks = drawn(3)
    small = logits[:, :, ::2, ::3].double().requires_grad_()
    loss, weight = YesNoLoss(SegmentationLoss({"cross_entropy": CrossEntropy()})).weighed(small, masks[:, None])
    x = torch.nn.functional.interpolate(small.detach().float(), size=masks.shape[1:], mode="bilinear").numpy()[:, 0]
    truth = masks.numpy()
    x, t = x[truth != IGNORE].astype(np.float64), truth[truth != IGNORE]
    plain = np.mean(np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0) - t * x)
    assert loss.item() == pytest.approx(plain, rel=1e-6)
    assert weight.item() == t.size


def test_dice_of_the_foreground_is_that_of_the_sigmoid() -> None:
    logits, masks = drawn(4)
    terms = {"dice": Dice(classes="foreground")}
    loss, _ = YesNoLoss(SegmentationLoss(terms)).weighed(logits, masks[:, None])
    truth = masks.numpy()
    s = 1 / (1 + np.exp(-logits.numpy()[:, 0].astype(np.float64)[truth != IGNORE]))
    t = truth[truth != IGNORE]
    assert loss.item() == pytest.approx(1 - (2 * (s * t).sum() + 1) / (s.sum() + t.sum() + 1), rel=1e-5)


def test_two_classes_or_a_message() -> None:
    assert build_task("binary", ["other", "skin"]).logits == 1
    with pytest.raises(UserError, match=r"task=binary .* has 3 classes \(a, b, c\): merge them .* or task=semantic"):
        build_task("binary", ["a", "b", "c"])


def test_thresholds_are_steps() -> None:
    assert [step_of(k / STEPS) for k in range(1, STEPS)] == list(range(1, STEPS))
    assert (step_of(0.3), step_of(0.0), step_of(1.0)) == (77, 1, 255)
