"""The moving average of the weights, which is what is validated, kept and used where there is one."""

from collections.abc import Callable
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor

Update = Callable[[list[Tensor], list[Tensor], Tensor], None]


class Average(WeightAveraging):
    """Exponential moving average of weights and statistics, updated after each step.

    warmup: decay min(decay, (1 + n) / (10 + n)) at the n-th update (TensorFlow's ExponentialMovingAverage with
    num_updates): a short training is not an average with its first weights. It may begin in the middle of a training,
    where a run goes on without one: at the weights as they then are.
    """

    def __init__(self, decay: float, warmup: bool) -> None:
        super().__init__(multi_avg_fn=_update(decay, warmup))

    def end(self) -> None:
        """From here on the weights are validated as they are."""
        self._average_model = None

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if "averaging_state" in checkpoint:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)
            return
        assert self._average_model is not None
        self._average_model.module.load_state_dict(checkpoint["state_dict"])
        self._latest_update_step = checkpoint["global_step"]


def decay_at(update: int, decay: float, warmup: bool) -> float:
    """What stays of the average at its n-th update, counted from 1; the 0th is the weights themselves."""
    return min(decay, (1 + update) / (10 + update)) if warmup else decay


def _update(decay: float, warmup: bool) -> Update:
    @torch.no_grad()
    def update(average: list[Tensor], current: list[Tensor], count: Tensor) -> None:
        if average[0].is_floating_point():
            torch._foreach_lerp_(average, current, 1 - decay_at(int(count), decay, warmup))
        else:  # counters of batches
            torch._foreach_copy_(average, current)

    return update
