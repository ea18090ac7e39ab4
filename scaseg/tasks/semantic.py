"""One class a pixel."""

import numpy as np
import numpy.typing as npt
from torch import Tensor

from scaseg.data.labels import Mask
from scaseg.evaluation.metrics import Scores, confusion_matrix, scores
from scaseg.evaluation.protocol import MeanOver
from scaseg.evaluation.regions import Counts, region_counts
from scaseg.evaluation.row_bands import Rows, best_class
from scaseg.losses.segmentation import SegmentationLoss
from scaseg.tasks.task import Task, Thresholds


class Semantic(Task):
    """A logit a class; the class of the highest is the label. No threshold."""

    name = "semantic"
    questions = 0

    @property
    def logits(self) -> int:
        return self.classes

    def target(self, masks: Tensor) -> Tensor:
        return masks

    def loss(self, loss: SegmentationLoss) -> SegmentationLoss:
        return loss

    def seen(self, scores: Rows) -> Tensor:
        """Labels (B, H, W)."""
        return best_class(scores)

    def labels(self, seen: Tensor, thresholds: Thresholds) -> Tensor:
        return seen

    def of_logits(self, logits: Tensor, thresholds: Thresholds) -> Tensor:
        return logits.argmax(1)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the confusion matrix."""
        return self.classes, self.classes

    def counted(self, seen: Tensor, target: Tensor) -> Tensor:
        return confusion_matrix(seen, target, self.classes)

    def thresholds(self, counts: Tensor) -> tuple[float, ...]:
        return ()

    def scores(self, counts: Tensor, thresholds: Thresholds, mean_over: MeanOver) -> Scores:
        return scores(counts, mean_over)

    def matrix(self, counts: Tensor, thresholds: Thresholds) -> Tensor:
        return counts

    def image_counts(self, seen: Mask, truth: Mask) -> npt.NDArray[np.int64]:
        return region_counts(seen, truth, self.classes)

    def regions(self, counts: npt.NDArray[np.int64], thresholds: Thresholds) -> Counts:
        return counts
