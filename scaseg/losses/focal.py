"""The focal loss (Lin et al., Focal Loss for Dense Object Detection, ICCV 2017), in its form for softmax."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from scaseg.data.labels import IGNORE as IGNORE_INDEX
from scaseg.losses.term import Term

_LEAST_MISS = 1e-12  # of 1 - p: below it a power under 1 has no finite slope


def focal_loss(logits: Tensor, target: Tensor, gamma: float = 2.0, class_weights: Tensor | None = None) -> Tensor:
    """Mean over labelled pixels of -w (1 - p)^gamma log p, p the softmax probability of the true class (their eq. 5).

    logits (B, K, H, W), target (B, H, W) int64 -> scalar. w: the true class's weight, by which the mean is weighted
    too; so with gamma 0 this is the (weighted) cross-entropy.
    """
    return _focal(logits, target, gamma, class_weights)[0]


def _focal(logits: Tensor, target: Tensor, gamma: float, class_weights: Tensor | None) -> tuple[Tensor, Tensor]:
    labelled = target != IGNORE_INDEX
    cross_entropy = F.cross_entropy(logits, target, ignore_index=IGNORE_INDEX, reduction="none")
    miss = -torch.expm1(-cross_entropy)
    weight = labelled.to(logits.dtype)
    if class_weights is not None:
        weight = weight * class_weights[target.where(labelled, 0)]
    count = weight.sum()
    return (weight * miss.clamp(min=_LEAST_MISS) ** gamma * cross_entropy).sum() / count.clamp(min=1e-12), count


class Focal(Term):
    """See `focal_loss`. Raises ValueError where `class_weights` has another length than the logits have classes."""

    class_weights: Tensor | None

    def __init__(self, gamma: float = 2.0, class_weights: Sequence[float] | None = None) -> None:
        super().__init__()
        self.gamma = gamma
        weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)
        self.register_buffer("class_weights", weights, persistent=False)

    def weighed(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        if self.class_weights is not None and len(self.class_weights) != logits.shape[1]:
            raise ValueError(f"{len(self.class_weights)} class weights for {logits.shape[1]} classes")
        return _focal(logits, target, self.gamma, self.class_weights)
