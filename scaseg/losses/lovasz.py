"""Lovász-Softmax (Berman et al., CVPR 2018): the convex extension of each class's 1 - IoU, over the batch."""

import torch
from torch import Tensor

from scaseg.data.labels import IGNORE as IGNORE_INDEX
from scaseg.losses.term import Term

CLASSES = ("present", "all")


def lovasz_softmax(logits: Tensor, target: Tensor, classes: str = "present") -> Tensor:
    """Mean over classes of the Lovász extension of the Jaccard loss at the errors of the batch's labelled pixels.

    logits (B, K, H, W), target (B, H, W) int64 -> scalar. An error is 1 - p of the true class and p of the others, p
    the softmax; the extension is their Definition 2. classes: over those that are `present` in the batch, or over
    `all`: an absent one costs its largest probability.
    """
    return _lovasz(logits, target, classes)[0]


def _lovasz(logits: Tensor, target: Tensor, classes: str) -> tuple[Tensor, Tensor]:
    labelled = target != IGNORE_INDEX
    truth = target[labelled]
    probability = logits.softmax(1).movedim(1, 0)[:, labelled]
    absent = classes == "present" or not truth.numel()
    chosen: list[int] = truth.unique().tolist() if absent else list(range(len(probability)))
    loss = (0 * probability).sum()  # a batch without a label has a gradient too
    for k in chosen:
        inside = truth == k
        error = torch.where(inside, 1 - probability[k], probability[k])
        loss = loss + (error * _slopes(error.detach(), inside)).sum() / len(chosen)
    return loss, labelled.sum()


def _slopes(error: Tensor, inside: Tensor) -> Tensor:
    """Of the extension, linear between changes of the errors' order: by how much the Jaccard loss grows at each error.

    error, inside (P,) -> (P,). With the errors in falling order, and n in the class of which i are not wrong yet, union
    u: a wrong pixel of the class adds 1 / u, one outside i / (u (u - 1)). These are the differences of the paper's
    Alg. 1; in float32 the difference of two losses near 1 would have no digit left at a million pixels.
    """
    order = error.argsort(descending=True)
    sorted_inside = inside[order]
    size = inside.sum()
    left = (size - sorted_inside.cumsum(0)).to(error.dtype)  # counted in whole numbers
    union = (size + (~sorted_inside).cumsum(0)).to(error.dtype)
    steps = torch.where(sorted_inside, 1 / union, left / (union * (union - 1).clamp(min=1)))
    steps[0] = torch.where(size == 0, 1.0, steps[0])  # of an absent class one wrong pixel is all there is to lose
    slopes = torch.empty_like(error)
    slopes[order] = steps
    return slopes


class Lovasz(Term):
    """See `lovasz_softmax`; of a batch in parts it is each part's own, for it is no mean over pixels.

    Raises ValueError where `classes` is neither.
    """

    def __init__(self, classes: str = "present") -> None:
        super().__init__()
        if classes not in CLASSES:
            raise ValueError(f"classes={classes}: choose one of {', '.join(CLASSES)}")
        self.classes = classes

    def weighed(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        return _lovasz(logits, target, self.classes)
