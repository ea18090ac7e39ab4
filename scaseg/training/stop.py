"""Ctrl-C and SIGTERM: training ends after the step that is at work, with a checkpoint of it."""

import logging
import os
import signal
import threading
import time
from types import FrameType
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

from lightning.pytorch import Callback, LightningModule, Trainer

log = logging.getLogger("scaseg")
TOGETHER_S = 0.5  # `timeout` sends its signal to the process and to its group: that is one


class Stopped(BaseException):
    """Training was asked to stop. number: of the signal."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Stop(Callback):
    """Raises Stopped at the next moment at which nothing is lost: the end of a step, a batch of a validation.

    It stands before Checkpoints among the callbacks, which sees `asked` and saves. A second signal stops at once. With
    several processes all stop at one step, whichever was asked, and a validation goes on to its end.
    """

    def __init__(self) -> None:
        self.asked: int | None = None
        self._since = 0.0
        self._before: dict[int, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # After Lightning's own, whose handler of SIGTERM waits for the other processes in the middle of a step.
        if threading.current_thread() is threading.main_thread():  # where alone Python takes signals
            self._before = {number: signal.signal(number, self._ask) for number in self._signals()}

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._restore()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _signals(self) -> tuple[signal.Signals, ...]:
        """Submitit has a handler of SIGTERM, which SLURM sends before the signal that requeues the job."""
        return (signal.SIGINT,) if "SUBMITIT_EXECUTOR" in os.environ else (signal.SIGINT, signal.SIGTERM)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked is None:
            self.asked, self._since = number, time.monotonic()
            log.warning("%s: stopping after this step; once more stops at once", signal.Signals(number).name)
        elif time.monotonic() - self._since > TOGETHER_S:
            raise Stopped(number)

    def agreed(self, trainer: Trainer) -> bool:
        """Whether a process was asked; every process must call this at the same step."""
        return trainer.strategy.reduce_boolean_decision(self.asked is not None, all=False)

    def now(self) -> None:
        """Raise Stopped."""
        raise Stopped(self.asked if self.asked is not None else signal.SIGTERM)

    def on_validation_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if self.asked is not None and trainer.world_size == 1:
            self.now()
