"""The LightningModule: steps and optimiser, nothing else."""

from collections.abc import Sequence
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import torch
import torch.distributed as dist
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from scaseg.data.datasets import EvalBatch, TrainBatch
from scaseg.data.labels import LabelTable
from scaseg.errors import UserError
from scaseg.evaluation.counter import Counter
from scaseg.evaluation.inference import scores
from scaseg.evaluation.levels import EVEN
from scaseg.evaluation.metrics import Scores
from scaseg.evaluation.more_metrics import LOSS
from scaseg.models.build import build_segmentor
from scaseg.models.encoders.stages import freeze, kept
from scaseg.models.layers.block_recompute import recompute_blocks
from scaseg.models.layers.pooled_keys import pool_keys
from scaseg.runs.checkpoint import thresholds_in, write_into
from scaseg.schema import Run
from scaseg.tasks.build import build_task
from scaseg.trained.model import TrainedModel
from scaseg.training.optimiser import Group, parameter_groups
from scaseg.training.recipe import build_loss, build_optimizer, build_schedule
from scaseg.training.teacher import Distillation


class SegmentationTask(LightningModule):
    """Training and evaluation steps of one configured model.

    config: it travels in every checkpoint under `scaseg`, with
    class names and colours, so that a checkpoint needs nothing else to be used. teacher: that of a training which has
    one; evaluations do without. given: the thresholds of evaluations; None: each validation finds the best.
    """

    def __init__(
        self,
        config: Run,
        labels: LabelTable,
        teacher: TrainedModel | None = None,
        given: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.labels = labels
        self.protocol = config.protocol
        self.task = build_task(config.task, labels.names)
        self.model = build_segmentor(config.backbone, config.decoder, self.task.logits, config.dataset.form)
        pool_keys(self.model, config.protocol.key_ratio)
        self.frozen_norms = freeze(self.model.encoder, config.backbone.freeze)
        if config.hardware.recompute_encoder and not recompute_blocks(self.model.encoder):
            raise UserError("hardware.recompute_encoder: nothing in this encoder looks like a block")
        self.loss = self.task.loss(
            build_loss(config.loss, config.dataset.name, labels, config.class_pixels.get("train"))
        )
        self.distillation = None if teacher is None else Distillation(config.distillation, teacher, self.model)
        if self.task.questions and given is None and "boundary" in config.metrics:
            raise UserError(
                f"metrics=[boundary]: a validation of task={config.task} finds the threshold of its labels at its end;"
                " scaseg.evaluate, which has the threshold, takes it"
            )
        self.given = given
        self.thresholds = (EVEN,) * self.task.questions if given is None else tuple(given)
        self.counter = Counter(self.task.shape, self.task.counted)
        self.weight = torch.zeros(())  # of the step's parts so far
        self.losses = torch.zeros(2, dtype=torch.float64)  # of the validation so far: weighted sum, weight

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.model(images)
        return logits

    @property
    def parts(self) -> int:
        """Of how many parts a step's batch consists: processes times accumulation."""
        return self.trainer.world_size * self.trainer.accumulate_grad_batches

    def on_train_batch_start(self, batch: TrainBatch, batch_idx: int) -> None:
        """After a validation Lightning brings back the mode of training."""
        kept(self.frozen_norms)

    def training_step(self, batch: TrainBatch, batch_idx: int) -> dict[str, Tensor]:
        """`loss` to differentiate; `mean` and `weight`: the part's own loss, and its weight in that of the step.

        `distilled`: what of the loss the teacher makes, where there is one.
        """
        images, masks = batch["image"], batch["mask"]
        told: dict[str, Tensor] = {}
        if self.distillation is None:
            loss, weight = self.loss.weighed(self.model(images), self.task.target(masks))
        else:
            maps: list[Tensor] = []
            logits = self.model(images, maps)
            loss, weight = self.loss.weighed(logits, self.task.target(masks))
            distilled = self.distillation(images, logits, maps)
            loss, told = loss + distilled, {"distilled": distilled.detach()}
        if self.parts == 1:
            return {"loss": loss, "mean": loss.detach(), "weight": torch.ones_like(loss), **told}
        share = (weight / masks.numel()).to(loss.dtype)
        self.weight = self.weight + share
        return {"loss": loss * share, "mean": loss.detach(), "weight": share, **told}

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Lightning and DDP take the plain mean over the parts: make it that over their labelled pixels."""
        if self.parts == 1:
            return
        total = self.trainer.strategy.reduce(self.weight, reduce_op="sum")
        self.weight = torch.zeros_like(total)
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        torch._foreach_mul_(gradients, torch.where(total > 0, self.parts / total, 1.0))

    def on_validation_epoch_start(self) -> None:
        self.counter.reset()
        self.losses = torch.zeros(2, device=self.device, dtype=torch.float64)
        if self.trainer.world_size > 1:  # running statistics differ between processes; evaluation must not
            for buffer in self.model.buffers():
                dist.broadcast(buffer, 0)

    def validation_step(self, batch: EvalBatch, batch_idx: int) -> list[Tensor]:  # type: ignore[override]
        """What the task keeps of each image, at its mask's own size, as `labels_of` takes it."""
        kept: list[Tensor] = []
        for views, masks in _same_size(batch):
            size = masks.shape[1], masks.shape[2]
            at_once = self.config.hardware.window_batch_size
            if LOSS in self.config.metrics:
                loss, weight = self.loss.weighed(self.model(views[0]), self.task.target(masks))
                self.losses += torch.stack([loss * weight, weight]).double()
            seen = self.task.seen(scores(self.model, views, size, self.protocol, at_once, self.task.probabilities))
            self.counter.update(seen, self.task.target(masks))
            kept.extend(seen)
        return kept

    def labels_of(self, kept: Tensor) -> Tensor:
        """Labels (H, W), from what was kept of an image, at the thresholds that there are."""
        return self.task.labels(kept, self.thresholds)

    def scored(self) -> tuple[Scores, Tensor | None]:
        """The validation's figures, at the thresholds that it finds or was given, and its confusion matrix."""
        counts = self.counter.counts()
        if self.given is None:
            self.thresholds = self.task.thresholds(counts)
        return (
            self.task.scores(counts, self.thresholds, self.protocol.mean_over),
            self.task.matrix(counts, self.thresholds),
        )

    @property
    def metrics(self) -> list[str]:
        """What validations tell besides mIoU."""
        return list(dict.fromkeys((*self.task.told, *self.config.metrics)))

    def validation_loss(self) -> float:
        """The last validation's, of single whole images as training has them, over all processes' labelled pixels."""
        total, weight = self.trainer.strategy.reduce(self.losses, reduce_op="sum")
        return float(total / weight) if weight > 0 else float("nan")

    def parameter_groups(self) -> list[Group]:
        """What is trained how; see scaseg.training.optimiser."""
        recipe = self.config.training
        return parameter_groups(
            self.model.encoder,
            self.model.decoder,
            recipe.lr,
            recipe.decoder_lr_mult,
            recipe.weight_decay,
            recipe.decay,
            recipe.encoder_lr_decay,
            recipe.encoder_lr_decay_by,
            self.distillation,
        )

    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer = build_optimizer(self.config.optimizer, self.parameter_groups(), self.config.training.precision)
        factor = build_schedule(self.config.schedule, self.config.training)
        self.asked = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_train_start(self) -> None:
        """A checkpoint brings back the recipe that it was written with; what is asked now holds."""
        optimizer, scheduler = self.optimizers(), self.lr_schedulers()
        assert isinstance(scheduler, torch.optim.lr_scheduler.LambdaLR)
        scheduler.base_lrs = [group["lr"] for group in self.asked]
        groups = optimizer.param_groups  # type: ignore[union-attr]
        for group, asked, factor in zip(groups, self.asked, scheduler.lr_lambdas, strict=True):
            group.update(asked, initial_lr=asked["lr"], lr=asked["lr"] * factor(scheduler.last_epoch))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        write_into(checkpoint, self.config, self.labels, self.group_names, self.thresholds)

    @property
    def group_names(self) -> list[list[str]]:
        """Of the parameters in each of the optimiser's groups."""
        return [group["names"] for group in self.parameter_groups()]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self.config.training.ema_decay is None and "current_model_state" in checkpoint:
            checkpoint["state_dict"] = checkpoint["current_model_state"]  # not the average, which ends here
        self.thresholds = thresholds_in(checkpoint) or self.thresholds
        here = {callback.state_key for callback in self.trainer.callbacks}  # type: ignore[attr-defined]
        checkpoint["callbacks"] = {key: state for key, state in checkpoint["callbacks"].items() if key in here}
        _renumber_batches(checkpoint, self.trainer.accumulate_grad_batches)


def _renumber_batches(checkpoint: dict[str, Any], accumulate: int) -> None:
    """Lightning counts batches, by which it knows when to validate: other devices may make other parts of a step."""
    counters = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
    change = checkpoint["global_step"] * accumulate - counters["total"]["ready"]
    for counter in (counters["total"], counters["current"]):
        for key in ("ready", "started", "processed", "completed"):
            counter[key] += change


def _same_size(batch: EvalBatch) -> list[tuple[list[Tensor], Tensor]]:
    """Parts of a batch whose images are of one size: their views, one a scale, and their masks."""
    images, masks = batch["image"], batch["mask"]
    several: Any = batch.get("views")  # over scales of one tensor each, or over images: see collate_eval
    if isinstance(images, Tensor) and isinstance(masks, Tensor):
        return [(several or [images], masks)]
    views = several or [[image] for image in images]
    return [([view[None] for view in each], mask[None]) for each, mask in zip(views, masks, strict=True)]
