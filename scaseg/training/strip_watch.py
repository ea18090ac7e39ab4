"""Strip attention in linear time, watched while it trains: the logits' range R, the error against the exact form."""

from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from scaseg.models.layers.attention import CrossAttention
from scaseg.models.layers.strip_attention import exact_attention, logit_range, strip_attention
from scaseg.training.task import SegmentationTask

SAMPLES = 64  # queries of a head that are checked


def strip_attentions(decoder: nn.Module) -> dict[str, CrossAttention]:
    """The strip attentions of a decoder by the name of their block, e.g. stage_4; none for other decoders."""
    found = {}
    for name, module in decoder.named_modules():
        if isinstance(module, CrossAttention) and module.qk_channels == 1:
            stage = name.removeprefix("blocks.").split(".")[0]
            found[f"stage_{stage}"] = module
    return found


def strip_columns(decoder: nn.Module) -> list[str]:
    """The metrics that StripWatch logs."""
    return [f"strip/{what}/{name}" for name in strip_attentions(decoder) for what in ("range", "error")]


class StripWatch(Callback):
    """Every `every` steps, on one image of the batch: `strip/range` and `strip/error` of each stage.

    range: R, the largest of all heads. error: the largest over sampled queries of |as computed - exact in float64|,
    as a share of half the spread of that head's values; up to R = 100 the default stays below 1e-4.
    The image passes through the model once more, in eval mode and without gradients, so that training does not change.
    """

    def __init__(self, every: int) -> None:
        self.every = every

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        due = step % self.every == 0 and (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if not (due and trainer.is_global_zero and trainer.loggers):
            return
        assert isinstance(pl_module, SegmentationTask)
        row = watch(pl_module.model, batch["image"][:1])
        for logger in trainer.loggers if row else ():
            logger.log_metrics(row, step)


@torch.no_grad()
def watch(model: nn.Module, image: Tensor) -> dict[str, float]:
    """One image (1, 3, H, W) through the model's decoder -> the row that StripWatch logs."""
    attentions = strip_attentions(model.decoder)  # type: ignore[arg-type]
    if not attentions:
        return {}
    seen: dict[str, tuple[Tensor, Tensor]] = {}
    hooks = [
        module.register_forward_pre_hook(lambda _, inputs, name=name: seen.update({name: inputs}))
        for name, module in attentions.items()
    ]
    training = model.training
    model.eval()
    try:
        model.forward(image)  # not model(image): a compiled model would not call the hooks
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    row = {}
    for name, module in attentions.items():
        row[f"strip/range/{name}"], row[f"strip/error/{name}"] = measure(module, *seen[name])
    return row


@torch.no_grad()
def measure(module: CrossAttention, query: Tensor, memory: Tensor) -> tuple[float, float]:
    """R and relative error of one attention for its inputs, query (1, H, W, C) and memory (1, h, w, T)."""
    q, k, v = (x.float() for x in module.project(query, memory))
    count = q.shape[2]
    chosen = torch.linspace(0, count - 1, min(SAMPLES, count), device=q.device).round().long()
    computed = strip_attention(q.squeeze(-1), k.squeeze(-1), v, module.scale, module.strip, module.nodes)
    exact = exact_attention(q[:, :, chosen].double(), k.double(), v.double(), module.scale)
    spread = (v.amax(2) - v.amin(2)).amax(-1).double().clamp(min=1e-12) / 2  # (1, heads)
    error = ((computed[:, :, chosen].double() - exact).abs().amax((2, 3)) / spread).max()
    return float(logit_range(q.squeeze(-1), k.squeeze(-1), module.scale).max()), float(error)
