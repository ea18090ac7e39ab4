"""Cross-entropy over the labelled pixels, plain or over the hard ones (OHEM)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from scaseg.data.labels import IGNORE as IGNORE_INDEX
from scaseg.losses.resized_cross_entropy import FEWEST_CLASSES, resized_cross_entropy
from scaseg.losses.term import Term

AVERAGES = ("labelled", "all")


def cross_entropy(
    logits: Tensor,
    target: Tensor,
    class_weights: Tensor | None = None,
    average: str = "labelled",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Mean over pixels (weighted by class); logits (B, K, H, W), target (B, H, W) int64 -> scalar.

    average: over the `labelled` pixels, or over `all`, the ignored ones counting as pixels without loss.
    label_smoothing: torch's, the share of each pixel's loss that is spread evenly over all classes (Szegedy et al.,
    CVPR 2016, section 7).
    """
    total = F.cross_entropy(
        logits, target, class_weights, ignore_index=IGNORE_INDEX, reduction="sum", label_smoothing=label_smoothing
    )
    return total / _divisor(target, class_weights, average).clamp(min=1 if class_weights is None else 1e-12)


def ohem_cross_entropy(
    logits: Tensor,
    target: Tensor,
    threshold: float = 0.7,
    min_kept: int = 100_000,
    weights: Tensor | None = None,
    average: str = "labelled",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross-entropy over hard pixels: those whose true class has a probability under `threshold`.

    At least `min_kept` pixels of the batch (all, where there are fewer) are kept, the hardest first
    (Shrivastava et al., CVPR 2016, as segmentation codes apply it). Shapes and smoothing as in `cross_entropy`;
    average: over the kept pixels (`labelled`), or over `all` of the batch, the others counting as pixels without loss.
    """
    return _ohem(logits, target, threshold, min_kept, weights, average, label_smoothing)[0]


def _ohem(
    logits: Tensor,
    target: Tensor,
    threshold: float,
    min_kept: int,
    weights: Tensor | None,
    average: str,
    label_smoothing: float,
) -> tuple[Tensor, Tensor]:
    losses = F.cross_entropy(
        logits, target, weights, ignore_index=IGNORE_INDEX, reduction="none", label_smoothing=label_smoothing
    ).flatten()
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


class CrossEntropy(Term):
    """Cross-entropy, plain or over the hard pixels (`ohem`), whose `ohem_min_kept` is of an image.

    average, label_smoothing: see `cross_entropy`. Raises ValueError where `class_weights` has another length than the
    logits have classes, or `average` is neither.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        class_weights: Sequence[float] | None = None,
        average: str = "labelled",
        ohem: bool = False,
        ohem_threshold: float = 0.7,
        ohem_min_kept: int = 100_000,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        if average not in AVERAGES:
            raise ValueError(f"average={average}: choose one of {', '.join(AVERAGES)}")
        self.average, self.label_smoothing = average, label_smoothing
        self.ohem, self.ohem_threshold, self.ohem_min_kept = ohem, ohem_threshold, ohem_min_kept
        weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)
        self.register_buffer("class_weights", weights, persistent=False)

    def weighed(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        self._check(logits)
        if self.ohem:
            least = self.ohem_min_kept * len(target)
            smoothing = self.label_smoothing
            return _ohem(logits, target, self.ohem_threshold, least, self.class_weights, self.average, smoothing)
        loss = cross_entropy(logits, target, self.class_weights, self.average, self.label_smoothing)
        return loss, _divisor(target, self.class_weights, self.average)

    def banded(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor] | None:
        """Where there are classes enough for it to be faster: see scaseg.losses.resized_cross_entropy.

        None with label smoothing, which makes every class a target.
        """
        self._check(logits)
        if self.ohem or self.label_smoothing or logits.shape[1] < FEWEST_CLASSES:
            return None
        labelled = target != IGNORE_INDEX
        divisor = _divisor(target, self.class_weights, self.average)
        target = target.where(labelled, 0)
        weight = labelled.float() if self.class_weights is None else self.class_weights[target] * labelled
        return resized_cross_entropy(logits, target, weight / divisor.clamp(min=1e-12)), divisor

    def _check(self, logits: Tensor) -> None:
        if self.class_weights is not None and len(self.class_weights) != logits.shape[1]:
            raise ValueError(f"{len(self.class_weights)} class weights for {logits.shape[1]} classes")
