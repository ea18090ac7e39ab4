"""What each image of a validation adds to its figures."""

from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import numpy as np
import torch.distributed as dist
from lightning.pytorch import Callback, LightningModule, Trainer

from scaseg.evaluation.regions import Counts, region_counts
from scaseg.runs.counts import ImageCounts


class CountImages(Callback):
    """Keeps the last validation's counts of each image, of this process's part of them."""

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.found: dict[str, Counts] = {}

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
            prediction = labels.cpu().numpy().astype(np.uint8)
            self.found[name] = region_counts(prediction, truth.cpu().numpy(), self.num_classes)

    def all(self, names: list[str]) -> ImageCounts:
        """Of all processes, each of which calls this, in the order of `names`."""
        found = self.found
        if dist.is_available() and dist.is_initialized():
            everywhere: list[dict[str, Counts]] = [{} for _ in range(dist.get_world_size())]
            dist.all_gather_object(everywhere, found)
            found = {name: counts for part in everywhere for name, counts in part.items()}
        return ImageCounts(tuple(names), np.stack([found[name] for name in names]))
