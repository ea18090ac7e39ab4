"""Counts that add up over a whole set, and over processes."""

from collections.abc import Callable
from functools import partial

import scaseg.torchvision_fix  # noqa: F401

import torch
from torch import Tensor
from torchmetrics import Metric

from scaseg.evaluation.metrics import confusion_matrix


class Counter(Metric):
    """int64 counts over all updates and, under DDP, over all processes.

    counted: predictions and targets -> what they add, of this shape.
    """

    full_state_update = False
    found: Tensor

    def __init__(self, shape: tuple[int, ...], counted: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.shape, self.counted = shape, counted
        self.add_state("found", torch.zeros(shape, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Add pixels, as `counted` takes them."""
        self.found += self.counted(prediction, target)

    def compute(self) -> Tensor:
        """The counts; where they are one number a scalar, for torchmetrics squeezes what has one element."""
        return self.found

    def counts(self) -> Tensor:
        """The counts on the CPU, in their shape."""
        return self.compute().reshape(self.shape).cpu()


class ConfusionMatrix(Counter):
    """One confusion matrix (K, K): see scaseg.evaluation.metrics.confusion_matrix."""

    def __init__(self, num_classes: int) -> None:
        super().__init__((num_classes, num_classes), partial(confusion_matrix, num_classes=num_classes))
