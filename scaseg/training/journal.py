"""What a run says of itself while it runs: rows for the loggers, lines for the reader."""

import math
import time
from collections.abc import Sequence
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from scaseg.errors import UserError
from scaseg.evaluation.metrics import Scores
from scaseg.evaluation.more_metrics import COLUMNS, LOSS, more_metrics
from scaseg.training.image_counts import CountImages
from scaseg.training.task import SegmentationTask

TRAIN_COLUMNS = ["train/loss", "train/lr", "train/images_per_s", "train/data_wait"]
DISTILLED = "train/distillation"  # what of the loss a teacher makes
THRESHOLD = "val/threshold/"  # of a class's probability
VAL_COLUMNS = ["val/mIoU", "val/pixel_accuracy", "val/mean_accuracy"]


def columns(
    names: tuple[str, ...], metrics: Sequence[str] = (), taught: bool = False, thresholds: int = 0
) -> list[str]:
    """Every metric that a run may log, in order; metrics: those asked for besides; taught: by a teacher.

    thresholds: how many there are, of the last classes.
    """
    more = [COLUMNS[name] for name in metrics]
    train = [*TRAIN_COLUMNS, *([DISTILLED] if taught else [])]
    found = [f"{THRESHOLD}{name}" for name in names[len(names) - thresholds :]]
    return [*train, *VAL_COLUMNS, *more, *(f"val/IoU/{name}" for name in names), *found]


class Journal(Callback):
    """Logs training every `every` steps and each validation; keeps wall time and scores over resumes.

    `scores` holds the last validation's figures and `history` the (step, mIoU) of all. Training loss is the mean
    since the last row; `train/data_wait` is the share of time spent waiting for the loader.
    """

    def __init__(self, every: int, counts: CountImages | None = None) -> None:
        self.every = every
        self.counts = counts
        self.more: dict[str, float] = {}  # the last validation's metrics that were asked for besides
        # Of each step since the last row: loss, weighed and summed over its parts, weight, the teacher's part likewise.
        self.losses: list[Tensor] = []
        self._part_of_step: Tensor | None = None
        self.scores: Scores | None = None
        self.matrix: Tensor | None = None
        self.history: list[tuple[int, float]] = []
        self._earlier_time, self._session_start = 0.0, time.perf_counter()
        self._waited = 0.0

    @property
    def wall_time(self) -> float:
        """Seconds of training and validation, earlier sessions of the same run included."""
        return self._earlier_time + time.perf_counter() - self._session_start

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._session_start = time.perf_counter()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._row_start = self._batch_end = time.perf_counter()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._waited += time.perf_counter() - self._batch_end

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        mean, weight, distilled = outputs["mean"], outputs["weight"], outputs.get("distilled")
        part = torch.stack([mean * weight, weight, *([] if distilled is None else [distilled * weight])])
        self._part_of_step = part if self._part_of_step is None else self._part_of_step + part
        if (batch_idx + 1) % trainer.accumulate_grad_batches == 0:
            self.losses.append(self._part_of_step)
            self._part_of_step = None
            if trainer.global_step % self.every == 0:
                self._log_row(trainer, pl_module, trainer.global_step)
        self._batch_end = time.perf_counter()

    def _log_row(self, trainer: Trainer, pl_module: LightningModule, step: int) -> None:
        assert isinstance(pl_module, SegmentationTask)
        sums, weights, *taught = trainer.strategy.reduce(torch.stack(self.losses), reduce_op="sum").unbind(1)
        weights = torch.where(weights > 0, weights, 1)
        loss = float((sums / weights).mean())
        now = time.perf_counter()
        seconds = now - self._row_start
        row = {
            "train/loss": loss,
            "train/lr": trainer.optimizers[0].param_groups[-1]["lr"],
            "train/images_per_s": len(self.losses) * pl_module.config.training.batch_size / seconds,
            "train/data_wait": self._waited / seconds,
        }
        if taught:
            row[DISTILLED] = float((taught[0] / weights).mean())
        self.losses, self._waited = [], 0.0
        for logger in trainer.loggers:
            logger.log_metrics(row, step)
        if not math.isfinite(loss):
            raise UserError(
                f"the training loss is {loss} at step {step}: lower training.lr, set training.grad_clip=1, or"
                " use training.precision=32-true"
            )
        self._row_start = time.perf_counter()

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, SegmentationTask)
        self.scores, self.matrix = pl_module.scored()
        self.more = self._more(pl_module)
        row = {**self._validation_row(pl_module.labels.names), **self.more}
        pl_module.log_dict(row, logger=False, rank_zero_only=False)  # for callbacks that monitor it
        if trainer.state.fn != "fit" and trainer.max_steps != 0:  # a run of no steps is all validation
            return
        self.history.append((trainer.global_step, self.scores.mean_iou))
        for logger in trainer.loggers:
            logger.log_metrics(row, trainer.global_step)

    def _more(self, task: SegmentationTask) -> dict[str, float]:
        asked = task.metrics
        if not asked or self.counts is None:
            return {}
        found = more_metrics([name for name in asked if name != LOSS], self.counts.counted())
        return {**found, **({COLUMNS[LOSS]: task.validation_loss()} if LOSS in asked else {})}

    def _validation_row(self, names: tuple[str, ...]) -> dict[str, float]:
        assert self.scores is not None
        there = [i for i in range(len(names)) if i not in self.scores.absent]
        thresholds = zip(names[len(names) - len(self.scores.thresholds) :], self.scores.thresholds, strict=True)
        return {
            "val/mIoU": self.scores.mean_iou,
            "val/pixel_accuracy": self.scores.pixel_accuracy,
            "val/mean_accuracy": self.scores.mean_accuracy,
            **{f"val/IoU/{names[i]}": self.scores.iou[i] for i in there},
            **{f"{THRESHOLD}{name}": threshold for name, threshold in thresholds},
        }

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._row_start = self._batch_end = time.perf_counter()

    def state_dict(self) -> dict[str, Any]:
        return {
            "losses": self.losses,
            "history": self.history,
            "wall_time": self.wall_time,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.losses = list(state_dict.get("losses", ()))
        self.history = [(int(step), float(value)) for step, value in state_dict["history"]]
        self._earlier_time = state_dict["wall_time"]


class CounterRandomness(Callback):
    """Dropout and stochastic depth as functions of (seed, step, process): a resumed run draws the same."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        mixed = hash((self.seed, trainer.global_step, batch_idx, trainer.global_rank))
        torch.default_generator.manual_seed(mixed % 2**63)  # torch.manual_seed asks every kind of device, each step
        if pl_module.device.type == "cuda":
            torch.cuda.manual_seed(mixed % 2**63)
