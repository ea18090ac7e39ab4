"""(6) With how many loader processes training does not wait: its speed beside that of one batch on the device."""

import os
import time
from collections.abc import Callable
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from experiments.gpu.goals import LOADER
from experiments.gpu.section import Section, Setting, SkippedError
from experiments.gpu.train import SMALL, SMALL_MIT, camvid, trained
from scaseg.complexity.latency import Spread

WINDOW, WINDOWS, FIRST = 10, 12, 3  # steps of a window; windows; of these, not counted
STEPS = WINDOW * WINDOWS + 1
RECIPE = (
    *("backbone=mit_b0", "dataset=camvid", "training.precision=bf16-mixed", f"training.max_steps={STEPS}"),
    *(f"training.val_every={STEPS}", f"training.checkpoint_every={10 * STEPS}", f"training.log_every={STEPS}"),
    *("training.batch_size=8", "pictures=0"),
)


class Windows(Callback):
    """Seconds a step, in windows: first of the trainer with its loader, then of its last batch alone, on the device."""

    def __init__(self, window: int) -> None:
        self.window = window
        self.loaded: list[float] = []
        self.fixed: list[float] = []
        self._batch: Any = None
        self._start = 0.0

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if batch_idx % self.window == 0:
            now = _now(pl_module.device)
            if batch_idx:
                self.loaded.append((now - self._start) / self.window)
            self._start = now
        self._batch = batch

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        step = self._step(trainer, pl_module)
        with torch.enable_grad():
            for _ in self.loaded:
                start = _now(pl_module.device)
                for _ in range(self.window):
                    step()
                self.fixed.append((_now(pl_module.device) - start) / self.window)

    def _step(self, trainer: Trainer, task: Any) -> Callable[[], None]:
        """Forward, loss, backward, clipping, update: without the framework."""
        (optimizer,), clip = trainer.optimizers, task.config.training.grad_clip
        task.train()

        def run() -> None:
            optimizer.zero_grad()
            with trainer.precision_plugin.forward_context():
                loss = task.loss(task.model(self._batch["image"]), self._batch["mask"])
            loss.backward()
            if clip is not None:
                torch.nn.utils.clip_grad_norm_(task.parameters(), clip)
            optimizer.step()

        return run


def _now(device: torch.device) -> float:
    """Once the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def run(setting: Setting, section: Section) -> None:
    data = [option for option in camvid(setting) if option.startswith("data_dir")]
    cores = os.cpu_count() or 1
    numbers = [0] if setting.rehearse else sorted({n for n in (1, 2, 4, 6, 8, 12, 16) if n <= cores} | {0, cores})
    best: Spread | None = None
    for number, cache in [(n, "null") for n in reversed(numbers)] + [(number, "ram") for number in numbers[-1:]]:
        label = f"{number} processes{', hardware.cache=ram' if cache == 'ram' else ''}"
        with section.attempt(label):
            if setting.left < 20 and not setting.rehearse:
                raise SkippedError(f"{setting.left:.0f} s were left")
            windows = Windows(1 if setting.rehearse else WINDOW)
            options = [*RECIPE, *data, *(SMALL + SMALL_MIT if setting.rehearse else ())]
            options += [f"hardware.num_workers={number}", f"hardware.cache={cache}", "fresh=true"]
            _, result = trained(setting, f"loader-{number}-{cache}", options, [windows])
            first = 0 if setting.rehearse else FIRST
            loaded, fixed = windows.loaded[first:], Spread.of(windows.fixed[first:]).median
            share = Spread.of([fixed / seconds for seconds in loaded])
            batch = result["config"]["training"]["batch_size"]
            section.add(f"{label}: training", "images/s", batch / Spread.of(loaded).median)
            section.add(f"{label}: one batch on the device", "images/s", batch / fixed)
            section.add(f"{label}: share", "x", share)
            if cache == "null" and (best is None or share.median > best.median):
                best = share
    if best is not None:
        section.add(LOADER, "x", best, "at least 0.9")
