from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from scaseg.evaluation.submission import SubmissionWriter
from scaseg.training.journal import Journal
from scaseg.training.task import SegmentationTask


class WriteSubmission(Callback):
    """Hands each prediction of an evaluation to a submission, and has it checked when all are there."""

    def __init__(self, submission: SubmissionWriter, journal: Journal) -> None:
        self.submission = submission
        self.journal = journal

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            self.submission.start()
        trainer.strategy.barrier("submission begins")

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        assert isinstance(pl_module, SegmentationTask)
        for name, kept in zip(batch["name"], outputs, strict=True):
            self.submission.write(name, pl_module.labels_of(kept).cpu().numpy().astype(np.uint8))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.strategy.barrier("submission is written")
        if trainer.is_global_zero:
            matrix = self.submission.finish()
            assert self.journal.matrix is not None
            if not torch.equal(matrix, self.journal.matrix):
                raise RuntimeError(f"{self.submission.folder}: the files give other figures than the predictions did")
