from pathlib import Path
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

from lightning.pytorch import Callback, LightningModule, Trainer

from scaseg.training.journal import Journal


class Checkpoints(Callback):
    """Keeps `last.ckpt`, every `every` steps and after each validation, and `best.ckpt` by the journal's mIoU.

    A step that ends in a validation is saved after it and never before, so that a resumed run neither repeats nor
    misses one. Lightning writes each file whole or not at all.
    """

    def __init__(self, folder: Path, every: int, val_every: int, journal: Journal) -> None:
        self.last, self.best = folder / "last.ckpt", folder / "best.ckpt"
        self.journal = journal
        self.every = every
        self.val_every = val_every
        self.best_step: int | None = None
        self.best_value = float("-inf")
        self._saved_step = -1

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._saved_step = trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        if step % self.every == 0 and step % self.val_every and step > self._saved_step:
            self._saved_step = step
            trainer.save_checkpoint(self.last)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn != "fit" and trainer.max_steps != 0:
            return
        self._saved_step = trainer.global_step
        assert self.journal.scores is not None
        value = self.journal.scores.mean_iou  # Lightning's own callback_metrics are rounded to float32
        improved = value > self.best_value
        if improved:
            self.best_value, self.best_step = value, trainer.global_step
        # Best goes first: a run cut off in between resumes before this validation and comes to the same best.
        if improved:
            trainer.save_checkpoint(self.best)
        trainer.save_checkpoint(self.last)

    def state_dict(self) -> dict[str, Any]:
        return {"best_step": self.best_step, "best_value": self.best_value}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_step, self.best_value = state_dict["best_step"], state_dict["best_value"]
