from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from scaseg.evaluation.submission import Export
from scaseg.training.journal import Journal


class ExportPredictions(Callback):
    """Hands each prediction of an evaluation to an export, and has it checked when all are there."""

    def __init__(self, export: Export, journal: Journal) -> None:
        self.export = export
        self.journal = journal

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            self.export.start()
        trainer.strategy.barrier("export begins")

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        for name, labels in zip(batch["name"], outputs, strict=True):
            self.export.write(name, labels.cpu().numpy().astype(np.uint8))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.strategy.barrier("export is written")
        if trainer.is_global_zero:
            matrix = self.export.finish()
            assert self.journal.matrix is not None
            if not torch.equal(matrix, self.journal.matrix):
                raise RuntimeError(f"{self.export.folder}: the files give other figures than the predictions did")
