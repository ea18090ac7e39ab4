"""What tasks of yes-or-no questions share: a logit a question, of which the sigmoid is compared with a threshold."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scaseg.data.labels import Mask
from scaseg.evaluation.levels import STEPS
from scaseg.evaluation.row_bands import Rows, in_bands
from scaseg.evaluation.thresholds import best_thresholds, level_counts, levels_of
from scaseg.losses.segmentation import SegmentationLoss
from scaseg.losses.yes_no import YesNoLoss
from scaseg.tasks.task import Task


class YesNo(Task):
    """The answer is yes where its probability, the mean over the protocol's views, reaches the threshold.

    The target (B, Q, H, W) has 0 for no, 1 for yes, and IGNORE.
    """

    told = ("dice", "precision", "recall")

    @property
    def probabilities(self) -> Callable[[Tensor], Tensor]:
        return torch.sigmoid

    @property
    def logits(self) -> int:
        return self.questions

    def loss(self, loss: SegmentationLoss) -> YesNoLoss:
        return YesNoLoss(loss)

    def seen(self, scores: Rows) -> Tensor:
        """Levels (B, Q, H, W)."""
        return in_bands(scores, levels_of)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of each question: by true answer, by level."""
        return self.questions, 2, STEPS

    def counted(self, seen: Tensor, target: Tensor) -> Tensor:
        return level_counts(seen, target)

    def thresholds(self, counts: Tensor) -> tuple[float, ...]:
        return best_thresholds(counts)

    def image_counts(self, seen: Mask, truth: Mask) -> npt.NDArray[np.int64]:
        """(Q, 2, STEPS) of levels (Q, H, W)."""
        target = self.target(torch.from_numpy(truth)[None])
        counts: npt.NDArray[np.int64] = self.counted(torch.from_numpy(seen)[None], target).numpy()
        return counts
