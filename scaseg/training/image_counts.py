"""What each image of a validation adds to its figures."""

from collections.abc import Sequence
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import numpy as np
import numpy.typing as npt
import torch.distributed as dist
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from scaseg.data.labels import Mask
from scaseg.evaluation.boundaries import boundary_counts, boundary_width
from scaseg.evaluation.more_metrics import BOUNDARY, Counted
from scaseg.evaluation.regions import Counts
from scaseg.runs.counts import ImageCounts
from scaseg.training.task import SegmentationTask


class CountImages(Callback):
    """Keeps the last validation's counts of each image, of this process's part of them.

    boundaries: whether those along boundaries too, as scaseg.evaluation.more_metrics takes them.
    """

    def __init__(self, boundaries: bool = False) -> None:
        self.boundaries = boundaries
        # Of regions, as far as the task knows them before its thresholds; of boundaries (3, K)
        self.found: dict[str, tuple[npt.NDArray[np.int64], Counts | None]] = {}

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, SegmentationTask)
        self.found = {}
        self._of = pl_module

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        for name, kept, truth in zip(batch["name"], outputs, batch["mask"], strict=True):
            mask = truth.cpu().numpy()
            counts = self._of.task.image_counts(kept.cpu().numpy().astype(np.uint8), mask)
            self.found[name] = counts, self._boundary(kept, mask) if self.boundaries else None

    def _boundary(self, kept: Tensor, mask: Mask) -> Counts:
        prediction = self._of.labels_of(kept).cpu().numpy().astype(np.uint8)
        width = boundary_width(mask.shape, BOUNDARY)
        found: Counts = boundary_counts(prediction, mask, self._of.labels.num_classes, [width])[0]
        return found

    def all(self, names: list[str]) -> ImageCounts:
        """Of regions, in all processes, each of which calls this, in the order of `names`."""
        found = self._everywhere()
        return ImageCounts(tuple(names), self._regions([found[name][0] for name in names]))

    def counted(self) -> Counted:
        """Of regions and boundaries, in all processes, each of which calls this."""
        regions, boundaries = zip(*self._everywhere().values(), strict=True)
        return Counted(self._regions(regions), np.stack(boundaries) if self.boundaries else None)

    def _regions(self, counts: Sequence[npt.NDArray[np.int64]]) -> Counts:
        return self._of.task.regions(np.stack(counts), self._of.thresholds)

    def _everywhere(self) -> dict[str, tuple[npt.NDArray[np.int64], Counts | None]]:
        found = self.found
        if dist.is_available() and dist.is_initialized():
            everywhere: list[dict[str, Any]] = [{} for _ in range(dist.get_world_size())]
            dist.all_gather_object(everywhere, found)
            found = {name: counts for part in everywhere for name, counts in part.items()}
        return found
