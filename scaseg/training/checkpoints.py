"""Which checkpoints a run keeps, and how each is written: whole, and on disk before the old one goes."""

import io
from pathlib import Path
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch import Callback, LightningModule, Trainer

from scaseg.files import write_bytes
from scaseg.runs.result import Best
from scaseg.training.journal import Journal
from scaseg.training.stop import Stop


class WholeFiles(TorchCheckpointIO):
    """Writes beside the target; Lightning's own goes through TMPDIR, which may be another disk."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Raises UserError where the disk is full; the file that was there is then still there."""
        whole = io.BytesIO()
        torch.save(checkpoint, whole)
        write_bytes(Path(path), whole.getbuffer())


class Checkpoints(Callback):
    """Keeps `last.ckpt`, every `every` steps and after each validation, and `best.ckpt` by the journal's mIoU.

    A step that ends in a validation is saved after it and never before, so that a resumed run neither repeats nor
    misses one; the step before it is saved too: a validation may be long, and be cut off. Where training is asked to
    stop, the step is saved and training ends.
    """

    def __init__(self, folder: Path, every: int, val_every: int, journal: Journal, stop: Stop) -> None:
        self.last, self.best = folder / "last.ckpt", folder / "best.ckpt"
        self.journal = journal
        self.stop = stop
        self.every = every
        self.val_every = val_every
        self.best_step: int | None = None
        self.best_value = float("-inf")
        self.saved_step: int | None = None  # of last.ckpt; None: there is none

    @property
    def next_start(self) -> str:
        """What the same command does next: goes on from a step, or starts anew."""
        if self.last.exists():
            step = "its last checkpoint" if self.saved_step is None else f"step {self.saved_step}"
            return f"goes on from {step}"
        return "starts it again, for it has no checkpoint yet"

    @property
    def best_result(self) -> Best:
        """Step and mIoU of best.ckpt; None each where no validation had a figure."""
        return {"step": self.best_step, "mIoU": None if self.best_step is None else self.best_value}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._seen_step = trainer.global_step
        self.saved_step = trainer.global_step or None
        if not self.best.exists():  # it was of the run that this one was started from
            self.best_step, self.best_value = None, float("-inf")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        if step == self._seen_step:  # the step has more parts to come
            return
        self._seen_step = step
        stopping = self.stop.agreed(trainer)
        validated_next, validates = (step + 1) % self.val_every == 0, step % self.val_every == 0
        if (step % self.every == 0 or validated_next or stopping) and not validates:
            self._save_last(trainer)
        if stopping:
            self.stop.now()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn != "fit" and trainer.max_steps != 0:
            return
        assert self.journal.scores is not None
        value = self.journal.scores.mean_iou  # Lightning's own callback_metrics are rounded to float32
        improved = value > self.best_value
        if improved:
            self.best_value, self.best_step = value, trainer.global_step
        # Best goes first: a run cut off in between resumes before this validation and comes to the same best.
        if improved:
            trainer.save_checkpoint(self.best)
        self._save_last(trainer)
        if self.stop.agreed(trainer):
            self.stop.now()

    def _save_last(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(self.last)
        self.saved_step = trainer.global_step

    def state_dict(self) -> dict[str, Any]:
        return {"best_step": self.best_step, "best_value": self.best_value}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_step, self.best_value = state_dict["best_step"], state_dict["best_value"]
