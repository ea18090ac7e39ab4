"""What loggers show besides curves: pictures, the confusion matrix, and the model's cost."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import scaseg.torchvision_fix  # noqa: F401

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from scaseg.complexity.summary import published_counts
from scaseg.config import image_size
from scaseg.data.labels import LabelTable
from scaseg.training.journal import Journal
from scaseg.training.pictures import Pictures, Sample
from scaseg.training.task import SegmentationTask


@runtime_checkable
class Shows(Protocol):
    """A logger that can show more than curves."""

    def summarise(self, values: Mapping[str, float]) -> None:
        """Numbers of the whole run."""

    def show(self, samples: Sequence[Sample], matrix: Tensor, labels: LabelTable, step: int) -> None:
        """Images with truth and prediction, and the confusion matrix (K, K), of a validation; labels: the classes."""


@runtime_checkable
class Rewinds(Protocol):
    """A logger in which a resumed run goes on where its checkpoint was."""

    def rewind(self, step: int) -> None:
        """Before training: drop what was logged after `step`, which is logged again; 0: a new start."""


class Media(Callback):
    """GFLOPs by the paper's counter once; pictures and confusion matrix after each validation."""

    def __init__(self, labels: LabelTable, pictures: Pictures, journal: Journal) -> None:
        self.labels = labels
        self.pictures = pictures
        self.journal = journal

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, SegmentationTask)
        showing = [logger for logger in trainer.loggers if isinstance(logger, Shows)]
        if not (showing and trainer.is_global_zero):
            return
        config = pl_module.config
        size = image_size(config.protocol, config.augment)
        inputs = config.dataset.form.channels
        counted = published_counts(config.backbone, config.decoder, pl_module.task.logits, size, inputs)
        for logger in showing:
            logger.summarise({"GFLOPs": counted.macs_paper / 1e9})  # what dashboards draw mIoU over

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not (trainer.is_global_zero and trainer.state.fn == "fit"):
            return
        for logger in trainer.loggers:
            if isinstance(logger, Shows):
                assert self.journal.matrix is not None
                logger.show(self.pictures.samples, self.journal.matrix, self.labels, trainer.global_step)
