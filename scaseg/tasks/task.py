"""What is asked of each pixel: from a class table to logits, from scores to labels, from labels to figures."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from torch import Tensor

from scaseg.data.labels import Mask
from scaseg.evaluation.metrics import Scores
from scaseg.evaluation.protocol import MeanOver
from scaseg.evaluation.regions import Counts
from scaseg.evaluation.row_bands import Rows
from scaseg.losses.segmentation import SegmentationLoss
from scaseg.losses.yes_no import YesNoLoss

Thresholds = Sequence[float]  # of probabilities, one a question; none where the best class is asked


class Task(ABC):
    """Of a table of `classes`.

    `seen` is what is kept of each pixel's scores until the thresholds are known: labels, or levels of probabilities.
    """

    name: ClassVar[str]
    told: ClassVar[tuple[str, ...]] = ()  # metrics of every validation, besides those that are asked for

    def __init__(self, classes: int) -> None:
        self.classes = classes

    @property
    def probabilities(self) -> Callable[[Tensor], Tensor] | None:
        """Of logits, where decisions need them."""
        return None

    @property
    @abstractmethod
    def questions(self) -> int:
        """How many thresholds there are."""

    @property
    @abstractmethod
    def logits(self) -> int:
        """Of each pixel."""

    @abstractmethod
    def target(self, masks: Tensor) -> Tensor:
        """Of masks (B, H, W) what loss and counter take."""

    @abstractmethod
    def loss(self, loss: SegmentationLoss) -> SegmentationLoss | YesNoLoss:
        """The configured sum of terms as this task has it, of logits (B, logits, h, w) and the target."""

    @abstractmethod
    def seen(self, scores: Rows) -> Tensor:
        """Of scores, as `probabilities` makes them, of B images."""

    @abstractmethod
    def labels(self, seen: Tensor, thresholds: Thresholds) -> Tensor:
        """Of what was seen, of one image or several, as masks have them."""

    @abstractmethod
    def of_logits(self, logits: Tensor, thresholds: Thresholds) -> Tensor:
        """Labels of one view's logits (B, logits, H, W), int64, in operations that every exporter knows."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Of the counts that figures follow from."""

    @abstractmethod
    def counted(self, seen: Tensor, target: Tensor) -> Tensor:
        """What was seen of B images, and their target -> counts int64, which add up."""

    @abstractmethod
    def thresholds(self, counts: Tensor) -> tuple[float, ...]:
        """The best by counts."""

    @abstractmethod
    def scores(self, counts: Tensor, thresholds: Thresholds, mean_over: MeanOver) -> Scores:
        """Of counts, at these thresholds."""

    @abstractmethod
    def matrix(self, counts: Tensor, thresholds: Thresholds) -> Tensor | None:
        """The confusion matrix (K, K), rows the truth; None where a pixel may be of several classes."""

    @abstractmethod
    def image_counts(self, seen: Mask, truth: Mask) -> npt.NDArray[np.int64]:
        """What one image adds, as far as it is known before the thresholds are."""

    @abstractmethod
    def regions(self, counts: npt.NDArray[np.int64], thresholds: Thresholds) -> Counts:
        """Such counts (N, ...) -> (N, 3, K): pixels in which both have the class, the prediction's, the truth's."""
