"""The LightningModule: steps and optimiser, nothing else."""

from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import torch
import torch.distributed as dist
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from scaseg.data.labels import LabelTable
from scaseg.errors import UserError
from scaseg.evaluation.inference import predict_labels
from scaseg.losses import SegmentationLoss
from scaseg.metrics import ConfusionMatrix
from scaseg.models.build import build_segmentor
from scaseg.training.loading import check_architecture
from scaseg.training.optimiser import parameter_groups, warmup_poly


class SegmentationTask(LightningModule):
    """Training and evaluation steps of one configured model.

    config: the resolved run configuration as plain dicts. It travels in every checkpoint under `scaseg`, with
    class names and colours, so that a checkpoint needs nothing else to be used.
    """

    def __init__(self, config: dict[str, Any], labels: LabelTable) -> None:
        super().__init__()
        self.config = config
        self.labels = labels
        self.model = build_segmentor(config, labels.num_classes)
        weights = config["training"]["loss"]["class_weights"]
        if weights is not None and len(weights) != labels.num_classes:
            raise UserError(
                f"training.loss.class_weights has {len(weights)} weights, dataset={config['dataset']['name']} has"
                f" {labels.num_classes} classes: give one for each, in the order {', '.join(labels.names)}"
            )
        self.loss = SegmentationLoss(**config["training"]["loss"])
        self.confusion = ConfusionMatrix(labels.num_classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.model(images)
        return logits

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        loss: Tensor = self.loss(self.model(batch["image"]), batch["mask"])
        return loss

    def on_validation_epoch_start(self) -> None:
        self.confusion.reset()
        if self.trainer.world_size > 1:  # running statistics differ between processes; evaluation must not
            for buffer in self.model.buffers():
                dist.broadcast(buffer, 0)

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> list[Tensor]:  # type: ignore[override]
        """Labels of each image at its mask's own size."""
        predictions: list[Tensor] = []
        for views, masks in _same_size(batch):
            predicted = predict_labels(
                self.model,
                views,
                (masks.shape[1], masks.shape[2]),
                *self._windows(),
                window_batch_size=self.config["hardware"]["window_batch_size"],
                flip=self.config["protocol"]["flip"],
            )
            self.confusion.update(predicted, masks)
            predictions.extend(predicted)
        return predictions

    def _windows(self) -> tuple[Any, Any]:
        protocol = self.config["protocol"]
        if protocol["mode"] == "whole":
            return None, None
        return tuple(protocol["window"]), tuple(protocol["stride"])

    def configure_optimizers(self) -> OptimizerLRScheduler:
        recipe = self.config["training"]
        groups = parameter_groups(
            self.model.encoder,
            self.model.decoder,
            recipe["lr"],
            recipe["decoder_lr_mult"],
            recipe["weight_decay"],
            recipe["decay"],
        )
        optimizer = torch.optim.AdamW(
            [{k: v for k, v in group.items() if k != "names"} for group in groups],
            betas=tuple(recipe["betas"]),
            # One pass over the parameters in place of one an operation; under AMP Lightning does not clip beside it.
            fused=not recipe["precision"].endswith("mixed"),
        )
        factor = warmup_poly(recipe["max_steps"], recipe["warmup_steps"], recipe["warmup_ratio"], recipe["poly_power"])
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["scaseg"] = {
            "config": self.config,
            "classes": list(self.labels.names),
            "colours": [list(colour) for colour in self.labels.colours],
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        check_architecture(self.config, checkpoint, self.state_dict())


def _same_size(batch: dict[str, Any]) -> list[tuple[list[Tensor], Tensor]]:
    """Parts of a batch whose images are of one size: their views, one a scale, and their masks."""
    images, masks = batch["image"], batch["mask"]
    if isinstance(images, Tensor):
        return [(batch.get("views") or [images], masks)]
    views = batch.get("views") or [[image] for image in images]
    return [([view[None] for view in each], mask[None]) for each, mask in zip(views, masks, strict=True)]
