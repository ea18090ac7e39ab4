import time
from pathlib import Path
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

from lightning.pytorch import Callback, LightningModule, Trainer

from scaseg.runs import store
from scaseg.training.checkpoints import Checkpoints

EVERY = 1.0  # seconds


class Heartbeat(Callback):
    """Keeps step and best mIoU in the run's status.json, for whoever watches a sweep."""

    def __init__(self, folder: Path, max_steps: int, checkpoints: Checkpoints) -> None:
        self.folder = folder
        self.max_steps = max_steps
        self.checkpoints = checkpoints
        self._last = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._write(trainer, first_step=trainer.global_step, max_steps=self.max_steps)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if time.monotonic() - self._last >= EVERY:
            self._write(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._write(trainer)

    def _write(self, trainer: Trainer, **fields: Any) -> None:
        self._last = time.monotonic()
        if not trainer.is_global_zero:
            return
        best = self.checkpoints.best_value if self.checkpoints.best_step is not None else None
        store.progress(self.folder, step=trainer.global_step, best_mIoU=best, **fields)
