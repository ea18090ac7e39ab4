"""Weights & Biases: the run's curves, per-class IoU, confusion matrix and masks; offline without an account."""

import netrc
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import scaseg.torchvision_fix  # noqa: F401

import wandb
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import WandbLogger

from scaseg.complexity.summary import published_counts
from scaseg.config import image_size
from scaseg.data.labels import LabelTable
from scaseg.errors import UserError
from scaseg.schema import Run
from scaseg.training.journal import Journal
from scaseg.training.pictures import Pictures
from scaseg.training.task import SegmentationTask
from scaseg.typed import to_plain


def wandb_logger(config: Run, folder: Path) -> WandbLogger:
    """A logger whose run id is the run folder's name, so that a resumed run goes on in the same place."""
    options = config.logger
    if options.mode == "online" and not has_account():
        raise UserError("logger.mode=online needs a W&B account: `wandb login`, WANDB_API_KEY, or logger.mode=offline")
    # wandb would ask for an account on the terminal where it finds none.
    offline = options.mode == "offline" or (options.mode == "auto" and not has_account())
    folder.mkdir(parents=True, exist_ok=True)
    return WandbLogger(
        project=options.project,
        entity=options.entity,
        name=config.name,
        id=config.name,
        save_dir=folder,
        offline=offline,
        resume="allow",
        group=options.group,
        tags=options.tags,
        config=to_plain(config),
        settings=wandb.Settings(silent=True, console="off"),
    )


def has_account() -> bool:
    """Whether this machine holds a W&B key, as wandb itself looks for one."""
    if os.environ.get("WANDB_MODE") in ("offline", "disabled"):
        return False
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "")).hostname or "api.wandb.ai"
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


class WandbMedia(Callback):
    """GFLOPs by the paper's counter; after each validation the chosen images with truth and prediction as W&B masks
    and the confusion matrix.
    """

    def __init__(self, labels: LabelTable, pictures: Pictures, journal: Journal) -> None:
        self.labels = labels
        self.pictures = pictures
        self.journal = journal

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, SegmentationTask)
        if not trainer.is_global_zero:
            return
        config = pl_module.config
        size = image_size(config.protocol, config.augment)
        counted = published_counts(config.backbone, config.decoder, self.labels.num_classes, size)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.experiment.summary["GFLOPs"] = counted.macs_paper / 1e9  # what dashboards draw mIoU over

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        loggers = [logger for logger in trainer.loggers if isinstance(logger, WandbLogger)]
        if not (loggers and trainer.is_global_zero and trainer.state.fn == "fit"):
            return
        names = dict(enumerate(self.labels.names))
        images = [
            wandb.Image(
                image,
                caption=name,
                masks={
                    "truth": {"mask_data": truth, "class_labels": names},
                    "prediction": {"mask_data": prediction, "class_labels": names},
                },
            )
            for name, image, truth, prediction in self.pictures.samples
        ]
        assert self.journal.matrix is not None
        matrix = self.journal.matrix.tolist()
        cells: list[Any] = [
            [true, predicted, matrix[i][j]]
            for i, true in enumerate(self.labels.names)
            for j, predicted in enumerate(self.labels.names)
        ]
        table = wandb.Table(columns=["Actual", "Predicted", "nPredictions"], data=cells)
        chart = wandb.plot_table("wandb/confusion_matrix/v1", table, {str(key): str(key) for key in table.columns}, {})
        step = trainer.global_step
        for logger in loggers:
            logger.experiment.log({"pictures": images, "confusion_matrix": chart, "trainer/global_step": step})
