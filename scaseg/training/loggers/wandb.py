"""Weights & Biases: the run's curves, per-class IoU, confusion matrix and masks; offline without an account."""

import netrc
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import scaseg.torchvision_fix  # noqa: F401

import wandb
from lightning.pytorch.loggers import WandbLogger
from torch import Tensor

from scaseg.data.labels import LabelTable
from scaseg.errors import UserError
from scaseg.schema import Run
from scaseg.training.pictures import Sample
from scaseg.typed import to_plain


class WandbLog(WandbLogger):
    """Its run id is the run folder's name, so that a resumed run goes on in the same place.

    mode: `online`, `offline`, or `auto`, which is online with an account. Raises UserError for online without one.
    """

    def __init__(
        self,
        run: Run,
        folder: Path,
        project: str = "scaseg",
        entity: str | None = None,
        mode: str = "auto",
        group: str | None = None,
        tags: Sequence[str] = (),
    ) -> None:
        if mode == "online" and not has_account():
            raise UserError(
                "logger.wandb.mode=online needs a W&B account: `wandb login`, WANDB_API_KEY, or"
                " logger.wandb.mode=offline"
            )
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(
            project=project,
            entity=entity,
            name=run.name,
            id=run.name,
            save_dir=folder,
            # wandb would ask for an account on the terminal where it finds none.
            offline=mode == "offline" or (mode == "auto" and not has_account()),
            resume="allow",
            group=group,
            tags=list(tags),
            config=to_plain(run),
            settings=wandb.Settings(silent=True, console="off"),
        )

    def summarise(self, values: Mapping[str, float]) -> None:
        """See scaseg.training.media.Shows."""
        self.experiment.summary.update(dict(values))

    def show(self, samples: Sequence[Sample], matrix: Tensor, labels: LabelTable, step: int) -> None:
        """As W&B's masks and confusion matrix."""
        names = labels.names
        classes = dict(enumerate(names))
        images = [
            wandb.Image(
                image,
                caption=name,
                masks={
                    "truth": {"mask_data": truth, "class_labels": classes},
                    "prediction": {"mask_data": prediction, "class_labels": classes},
                },
            )
            for name, image, truth, prediction in samples
        ]
        counts = matrix.tolist()
        cells: list[Any] = [
            [true, predicted, counts[i][j]] for i, true in enumerate(names) for j, predicted in enumerate(names)
        ]
        table = wandb.Table(columns=["Actual", "Predicted", "nPredictions"], data=cells)
        chart = wandb.plot_table("wandb/confusion_matrix/v1", table, {str(key): str(key) for key in table.columns}, {})
        self.experiment.log({"pictures": images, "confusion_matrix": chart, "trainer/global_step": step})


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
