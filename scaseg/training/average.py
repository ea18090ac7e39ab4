"""The moving average of the weights, which is what is validated, kept and used where there is one."""

from typing import Any

import scaseg.torchvision_fix  # noqa: F401

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging


class Average(EMAWeightAveraging):
    """Lightning's, which may begin in the middle of a training: it then starts at the weights as they are."""

    @property
    def state_key(self) -> str:
        return "EMAWeightAveraging"

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if "averaging_state" in checkpoint:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)
            return
        assert self._average_model is not None
        self._average_model.module.load_state_dict(checkpoint["state_dict"])
        self._latest_update_step = checkpoint["global_step"]
