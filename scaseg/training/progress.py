"""Progress of training and evaluation: a live bar in a terminal, a line now and then elsewhere."""

import time
from datetime import timedelta
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

LINE_EVERY = 10.0  # seconds between lines where there is no terminal


class ProgressLine(Callback):
    """Step, loss, share of the time spent waiting for data, time left and the last mIoU, on standard error."""

    def __init__(self, max_steps: int) -> None:
        self.max_steps = max_steps
        self.console = Console(stderr=True)
        self.loss = float("nan")
        self.best = ""
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._start_step = trainer.global_step
        self._start = self._last_line = self._last_draw = time.perf_counter()
        self._batch_end = self._start
        self._waited = 0.0
        self._bar, self._task = self._open("training", self.max_steps, trainer.is_global_zero)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._waited += time.perf_counter() - self._batch_end

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        now = self._batch_end = time.perf_counter()
        if not trainer.is_global_zero or now - self._last_draw < 0.2:  # reading the loss waits for the device
            return
        self._last_draw = now
        loss = float(outputs["mean"])
        self.loss = loss if self.loss != self.loss else 0.9 * self.loss + 0.1 * loss
        step = trainer.global_step
        wait = 100 * self._waited / max(now - self._start, 1e-9)
        text = f"loss {self.loss:.3f}  waiting for data {wait:.0f} %  {self._left(step, now)} left{self.best}"
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=step, note=text)
        elif now - self._last_line >= LINE_EVERY:
            self._last_line = now
            self.console.print(f"step {step}/{self.max_steps}  {text}", highlight=False)

    def _left(self, step: int, now: float) -> str:
        done = step - self._start_step
        if done < 1:
            return "?"
        seconds = (now - self._start) / done * (self.max_steps - step)
        return str(timedelta(seconds=round(seconds)))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._batch_end = time.perf_counter()
        value = float(trainer.callback_metrics["val/mIoU"])
        self.best = f"  val mIoU {value:.2f}"
        if trainer.is_global_zero:
            console = self._bar.console if self._bar is not None else self.console
            console.print(f"step {trainer.global_step}  val mIoU {value:.2f}", highlight=False)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._close()

    def _open(self, title: str, total: int, wanted: bool) -> tuple[Progress | None, TaskID | None]:
        if not (wanted and self.console.is_terminal):
            return None, None
        bar = Progress(
            TextColumn(title),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=self.console,
        )
        bar.start()
        return bar, bar.add_task(title, total=total, note="")

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


class EvaluationLine(Callback):
    """Images done and time left of one evaluation, on standard error."""

    def __init__(self) -> None:
        self.console = Console(stderr=True)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._start = self._last = time.perf_counter()

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        now = time.perf_counter()
        done, total = batch_idx + 1, int(sum(trainer.num_val_batches))
        if trainer.is_global_zero and (now - self._last > 2 or done == total):
            self._last = now
            left = timedelta(seconds=round((now - self._start) / done * (total - done)))
            end = "\n" if done == total or not self.console.is_terminal else "\r"
            self.console.print(f"evaluated {done}/{total} batches, {left} left", end=end, highlight=False)
