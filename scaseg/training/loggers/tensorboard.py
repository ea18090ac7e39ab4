"""TensorBoard: the run's curves, pictures, confusion matrix and configuration, as event files in the run's folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import numpy as np
import yaml
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from scaseg.data.labels import LabelTable
from scaseg.errors import UserError
from scaseg.schema import Run
from scaseg.training.matrix_picture import matrix_picture
from scaseg.training.pictures import Sample, sheet
from scaseg.typed import dotted, to_plain

try:
    from torch.utils.tensorboard.summary import hparams
except ImportError as error:
    raise UserError("logger=tensorboard needs the package tensorboard: pip install 'scaseg[tensorboard]'") from error

COMPARED = (
    "val/mIoU",
    "val/pixel_accuracy",
    "val/mean_accuracy",
    "train/loss",
    "model/GFLOPs",
)  # beside hyperparameters


class TensorBoardLog(TensorBoardLogger):
    """Events lie in the run's folder itself: `tensorboard --logdir runs` then names each run as its folder.

    TensorBoard keeps numbers in float32. Raises UserError where the package is missing.
    """

    def __init__(self, run: Run, folder: Path) -> None:
        super().__init__(save_dir=folder, name="tensorboard", default_hp_metric=False)
        self.run = run
        self.folder = folder
        self._told = False  # an earlier session of the run has written what belongs to no step

    @property
    def root_dir(self) -> str:
        return str(self.folder)

    @property
    def log_dir(self) -> str:
        return str(self.folder)

    def rewind(self, step: int) -> None:
        """See scaseg.training.media.Rewinds: what is read from then on leaves out events after `step`."""
        held = any(self.folder.glob("events.out.tfevents.*"))
        if held:
            self._kwargs["purge_step"] = step + 1 if step else 0
        self._told = held and step > 0
        if not self._told:
            self._write_config()
        self.experiment.flush()

    def _write_config(self) -> None:
        plain = to_plain(self.run)
        lines = yaml.safe_dump(plain, sort_keys=False).splitlines()
        self.experiment.add_text("config", "\n".join(f"    {line}" for line in lines), 0)  # indented: Markdown's code
        values = {
            key: value if isinstance(value, bool | int | float | str) else str(value)
            for key, value in dotted(plain).items()
        }
        for summary in hparams(values, dict.fromkeys(COMPARED, 0)):
            self.experiment._get_file_writer().add_summary(summary, 0)  # add_hparams would make a run of its own

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """As Lightning's, and to disk at once: a checkpoint that comes after a row must not outlive it."""
        super().log_metrics(metrics, step)
        self.experiment.flush()

    @rank_zero_only
    def save(self) -> None:
        """Not also Lightning's hparams.yaml, beside the run's config.yaml."""
        self.experiment.flush()

    def summarise(self, values: Mapping[str, float]) -> None:
        """See scaseg.training.media.Shows; once, at step 0; a name without a slash would come before all curves."""
        if not self._told:
            self.log_metrics({f"model/{name}": value for name, value in values.items()}, 0)

    def show(self, samples: Sequence[Sample], matrix: Tensor, labels: LabelTable, step: int) -> None:
        """A picture of each sample: image, truth and prediction, over their classes' colours."""
        pictures: dict[str, Any] = {}
        for name, image, truth, prediction in samples:
            shown = [int(i) for i in np.union1d(truth, prediction) if i < labels.num_classes]
            pictures[f"pictures/{name}"] = sheet([(name, image, truth, prediction)], labels, shown)
        pictures["confusion_matrix"] = matrix_picture(matrix.cpu().numpy(), labels.names)
        for tag, picture in pictures.items():
            self.experiment.add_image(tag, picture, step, dataformats="HWC")
        self.experiment.flush()
