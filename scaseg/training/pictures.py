from collections.abc import Sequence
from pathlib import Path
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import cv2
import numpy as np
from lightning.pytorch import Callback, LightningModule, Trainer

from scaseg.data import draw
from scaseg.data.labels import LabelTable
from scaseg.form import RGB, Form
from scaseg.training.task import SegmentationTask

Sample = tuple[str, Any, Any, Any]  # name, image (H, W, 3), truth and prediction (H, W)


class Pictures(Callback):
    """Writes a sheet of some evaluation images: image, truth, prediction.

    chosen: names of the images to show; form: of all, of which three channels are shown. `path` is the sheet that was
    written last; `samples` what it shows, for loggers that show masks themselves.
    """

    def __init__(self, folder: Path, labels: LabelTable, chosen: list[str], form: Form = RGB) -> None:
        self.folder = folder
        self.labels = labels
        self.chosen, self.form = chosen, form
        self.path: Path | None = None
        self.samples: list[Sample] = []
        self._kept: list[Sample] = []  # with what the task keeps of an image for a prediction

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.samples, self._kept = [], []

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        for i, name in enumerate(batch["name"]):
            if name in self.chosen:
                truth = batch["mask"][i].cpu().numpy()
                image: Any = draw.as_shown(batch["image"][i].permute(1, 2, 0).cpu().numpy(), self.form)
                if image.shape[:2] != truth.shape:
                    image = cv2.resize(image, truth.shape[::-1], interpolation=cv2.INTER_AREA)
                self._kept.append((name, image, truth, outputs[i].cpu()))

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, SegmentationTask)
        self.samples = [(*shown, pl_module.labels_of(kept).numpy().astype(np.uint8)) for *shown, kept in self._kept]
        if not self.samples or not trainer.is_global_zero:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        fitting = trainer.state.fn == "fit"
        self.path = self.folder / (f"step_{trainer.global_step:06d}.png" if fitting else "predictions.png")
        draw.write_png(self.path, sheet(self.samples, self.labels))


def sheet(samples: Sequence[Sample], labels: LabelTable, shown: Sequence[int] | None = None) -> draw.Picture:
    """A row a sample: image, truth and prediction; below, the colours of all classes, or of `shown`."""
    rows = [draw.comparison(image, truth, prediction, labels) for _, image, truth, prediction in samples]
    return draw.sheet(rows, labels, ("image", "truth", "prediction"), shown=shown)


def spread(names: list[str], count: int) -> list[str]:
    """`count` of the names, evenly spaced."""
    if not names or count < 1:
        return []
    picks = np.linspace(0, len(names) - 1, min(count, len(names))).round().astype(int)
    return [names[i] for i in picks]
