"""Of two classes, whether a pixel is of the second: one logit."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scaseg.evaluation.levels import STEPS, step_of
from scaseg.evaluation.metrics import Scores, scores
from scaseg.evaluation.protocol import MeanOver
from scaseg.evaluation.regions import Counts
from scaseg.evaluation.thresholds import tables
from scaseg.tasks.task import Thresholds
from scaseg.tasks.yes_no import YesNo


class Binary(YesNo):
    """Background and foreground, in the class table's order."""

    name = "binary"
    questions = 1

    def target(self, masks: Tensor) -> Tensor:
        return masks[:, None]

    def labels(self, seen: Tensor, thresholds: Thresholds) -> Tensor:
        """Levels (..., 1, H, W) -> (..., H, W) uint8: 0 or 1."""
        return (seen.select(-3, 0) >= step_of(thresholds[0])).to(torch.uint8)

    def of_logits(self, logits: Tensor, thresholds: Thresholds) -> Tensor:
        return (logits[:, 0].sigmoid() >= step_of(thresholds[0]) / STEPS).long()

    def scores(self, counts: Tensor, thresholds: Thresholds, mean_over: MeanOver) -> Scores:
        return replace(scores(self.matrix(counts, thresholds), mean_over), thresholds=tuple(thresholds))

    def matrix(self, counts: Tensor, thresholds: Thresholds) -> Tensor:
        return tables(counts, thresholds)[0]

    def regions(self, counts: npt.NDArray[np.int64], thresholds: Thresholds) -> Counts:
        table = tables(torch.from_numpy(counts), thresholds)[:, 0]
        found: Counts = torch.stack([table.diagonal(dim1=1, dim2=2), table.sum(1), table.sum(2)], 1).numpy()
        return found
