"""Segmentation losses; pixels with the ignored label take no part, and a batch without a label costs 0."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scaseg.data.labels import IGNORE as IGNORE_INDEX
from scaseg.losses.resized_cross_entropy import FEWEST_CLASSES, resized_cross_entropy

AVERAGES = ("labelled", "all")


def cross_entropy(
    logits: Tensor, target: Tensor, class_weights: Tensor | None = None, average: str = "labelled"
) -> Tensor:
    """Mean over pixels (weighted by class); logits (B, K, H, W), target (B, H, W) int64 -> scalar.

    average: over the `labelled` pixels, or over `all`, the ignored ones counting as pixels without loss.
    """
    total = F.cross_entropy(logits, target, class_weights, ignore_index=IGNORE_INDEX, reduction="sum")
    return total / _divisor(target, class_weights, average).clamp(min=1 if class_weights is None else 1e-12)


def ohem_cross_entropy(
    logits: Tensor,
    target: Tensor,
    threshold: float = 0.7,
    min_kept: int = 100_000,
    weights: Tensor | None = None,
    average: str = "labelled",
) -> Tensor:
    """Cross-entropy over hard pixels: those whose true class has a probability under `threshold`.

    At least `min_kept` pixels of the batch (all, where there are fewer) are kept, the hardest first
    (Shrivastava et al., CVPR 2016, as segmentation codes apply it). Shapes as in `cross_entropy`; average: over
    the kept pixels (`labelled`), or over `all` of the batch, the others counting as pixels without loss.
    """
    return _ohem(logits, target, threshold, min_kept, weights, average)[0]


def _ohem(
    logits: Tensor, target: Tensor, threshold: float, min_kept: int, weights: Tensor | None, average: str
) -> tuple[Tensor, Tensor]:
    losses = F.cross_entropy(logits, target, weights, ignore_index=IGNORE_INDEX, reduction="none").flatten()
    with torch.no_grad():
        unweighted = F.cross_entropy(logits, target, ignore_index=IGNORE_INDEX, reduction="none").flatten()
        probability = torch.exp(-unweighted)
        labelled = target.flatten() != IGNORE_INDEX
        kept = max(1, min(min_kept, int(labelled.sum())))
        hardest = probability.where(labelled, torch.inf).kthvalue(kept).values
        hard = labelled & (probability <= hardest.clamp(min=threshold))
    count = hard.sum() if average == "labelled" else torch.full_like(hard.sum(), hard.numel())
    return (losses * hard).sum() / count.clamp(min=1), count


def _divisor(target: Tensor, class_weights: Tensor | None, average: str) -> Tensor:
    labelled = target != IGNORE_INDEX
    ignored = target.numel() - labelled.sum() if average == "all" else 0
    if class_weights is None:
        return labelled.sum() + ignored
    return (class_weights[target.where(labelled, 0)] * labelled).sum() + ignored


def dice_loss(logits: Tensor, target: Tensor, smooth: float = 1.0) -> Tensor:
    """1 - mean over classes of (2 |P T| + s) / (|P| + |T| + s) over the batch's labelled pixels (V-Net, 2016)."""
    labelled = (target != IGNORE_INDEX).unsqueeze(1)
    probability = logits.float().softmax(1) * labelled
    truth = F.one_hot(target.where(labelled.squeeze(1), 0), logits.shape[1]).permute(0, 3, 1, 2) * labelled
    overlap = (probability * truth).sum((0, 2, 3))
    size = probability.sum((0, 2, 3)) + truth.sum((0, 2, 3))
    return 1 - ((2 * overlap + smooth) / (size + smooth)).mean()


class SegmentationLoss(nn.Module):
    """Cross-entropy (plain or OHEM) plus `dice` times the Dice loss, at the target's size.

    Logits (B, K, h, w) are resized bilinearly to the target's (H, W) and scored in float32. `ohem_min_kept` is of an
    image. average: see `cross_entropy`. Raises ValueError where `class_weights` has another length than K.
    """

    def __init__(
        self,
        ohem: bool = False,
        ohem_threshold: float = 0.7,
        ohem_min_kept: int = 100_000,
        dice: float = 0.0,
        class_weights: Sequence[float] | None = None,
        average: str = "labelled",
    ) -> None:
        super().__init__()
        if average not in AVERAGES:
            raise ValueError(f"average={average}: choose one of {', '.join(AVERAGES)}")
        self.ohem, self.ohem_threshold, self.ohem_min_kept = ohem, ohem_threshold, ohem_min_kept
        self.dice, self.average = dice, average
        weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)
        self.register_buffer("class_weights", weights, persistent=False)

    class_weights: Tensor | None

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return self.weighed(logits, target)[0]

    def weighed(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The loss, and its weight among parts of one batch: what its cross-entropy is averaged over.

        The mean of the parts' losses by these weights is the whole batch's cross-entropy. Dice, which is no mean over
        pixels, and OHEM's least number of pixels are of each part.
        """
        if self.class_weights is not None and len(self.class_weights) != logits.shape[1]:
            raise ValueError(f"{len(self.class_weights)} class weights for {logits.shape[1]} classes")
        target = target.long()
        if not self.ohem and self.dice == 0 and logits.shape[1] >= FEWEST_CLASSES:
            return self._banded(logits, target)
        logits = F.interpolate(logits.float(), size=target.shape[1:], mode="bilinear")
        if self.ohem:
            least = self.ohem_min_kept * len(target)
            loss, weight = _ohem(logits, target, self.ohem_threshold, least, self.class_weights, self.average)
        else:
            loss = cross_entropy(logits, target, self.class_weights, self.average)
            weight = _divisor(target, self.class_weights, self.average)
        if self.dice > 0:
            loss = loss + self.dice * dice_loss(logits, target)
        return loss, weight

    def _banded(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """`cross_entropy` of the resized logits."""
        labelled = target != IGNORE_INDEX
        divisor = _divisor(target, self.class_weights, self.average)
        target = target.where(labelled, 0)
        weight = labelled.float() if self.class_weights is None else self.class_weights[target] * labelled
        return resized_cross_entropy(logits, target, weight / divisor.clamp(min=1e-12)), divisor
