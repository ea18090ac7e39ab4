"""What each image of a validation adds to its figures."""

from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import numpy as np
import torch.distributed as dist
from lightning.pytorch import Callback, LightningModule, Trainer

from scaseg.evaluation.boundaries import boundary_counts, boundary_width
from scaseg.evaluation.more_metrics import BOUNDARY, Counted
from scaseg.evaluation.regions import Counts, region_counts
from scaseg.runs.counts import ImageCounts


class CountImages(Callback):
    """Keeps the last validation's counts of each image, of this process's part of them.

    boundaries: whether those along boundaries too, as scaseg.evaluation.more_metrics takes them.
    """

    def __init__(self, num_classes: int, boundaries: bool = False) -> None:
        self.num_classes = num_classes
        self.boundaries = boundaries
        self.found: dict[str, Counts] = {}  # (1 or 2, 3, K): of regions, of boundaries

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.found = {}

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        for name, labels, truth in zip(batch["name"], outputs, batch["mask"], strict=True):
            prediction, mask = labels.cpu().numpy().astype(np.uint8), truth.cpu().numpy()
            counts = region_counts(prediction, mask, self.num_classes)[None]
            if self.boundaries:
                width = boundary_width(mask.shape, BOUNDARY)
                counts = np.concatenate([counts, boundary_counts(prediction, mask, self.num_classes, [width])])
            self.found[name] = counts

    def all(self, names: list[str]) -> ImageCounts:
        """Of regions, in all processes, each of which calls this, in the order of `names`."""
        found = self._everywhere()
        return ImageCounts(tuple(names), np.stack([found[name][0] for name in names]))

    def counted(self) -> Counted:
        """Of regions and boundaries, in all processes, each of which calls this."""
        stacked = np.stack(list(self._everywhere().values()))
        return Counted(stacked[:, 0], stacked[:, 1] if self.boundaries else None)

    def _everywhere(self) -> dict[str, Counts]:
        found = self.found
        if dist.is_available() and dist.is_initialized():
            everywhere: list[dict[str, Counts]] = [{} for _ in range(dist.get_world_size())]
            dist.all_gather_object(everywhere, found)
            found = {name: counts for part in everywhere for name, counts in part.items()}
        return found
