"""A training step of the bare model beside two public SegFormer-B0: forward, loss, backward, AdamW."""

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scaseg.benchmark.measurement import Row
from scaseg.benchmark.options import BenchmarkConfig
from scaseg.benchmark.peers import smp_segformer
from scaseg.complexity.latency import interleaved
from scaseg.data.build import num_classes
from scaseg.data.labels import IGNORE
from scaseg.errors import UserError
from scaseg.losses.cross_entropy import CrossEntropy
from scaseg.losses.segmentation import SegmentationLoss
from scaseg.models.build import build_segmentor
from scaseg.schema import Run
from scaseg.trained.device import chosen_device

BATCH, SIZE = 2, (256, 256)


def rows(cfg: BenchmarkConfig, run: Run) -> list[Row]:
    """Ratio of times; both with the same AdamW, cross-entropy at the labels' size, and random images.

    The device is hardware.accelerator's, `dtype` that of autocast.
    """
    torch.set_num_threads(run.hardware.threads or 1)
    device, dtype = chosen_device(cfg.hardware), getattr(torch, cfg.dtype.value)
    classes = num_classes(run.dataset, run.data_dir)
    torch.manual_seed(0)
    ours = build_segmentor(run.backbone, run.decoder, classes).train().to(device)
    images = torch.rand(BATCH, 3, *SIZE).to(device)
    target = torch.randint(0, classes, (BATCH, *SIZE)).to(device)
    our_step = training_step(ours, our_loss(ours, images, target), device, dtype)
    theirs = segformer_b0(classes).train().to(device)
    their_step = training_step(theirs, segformer_loss(theirs, images, target), device, dtype)
    pair = interleaved(our_step, their_step, device, 2, cfg.rounds)
    name = f"{run.backbone.name}, batch {BATCH}, {SIZE[0]} x {SIZE[1]}, {classes} classes"
    table = [
        Row(f"training step, {name}: ours / transformers' SegFormer-B0", "x", pair.ratio, "at most 0.85"),
        Row(f"training step, {name}: ours", "s", pair.a),
    ]
    peer = smp_segformer("mit_b0", classes)
    if peer is not None:
        peer.train().to(device)
        their_step = training_step(peer, logits_loss(peer, images, target), device, dtype)
        pair = interleaved(our_step, their_step, device, 2, cfg.rounds)
        what = f"training step, {name}: ours / segmentation-models-pytorch's Segformer, mit_b0"
        table.append(Row(what, "x", pair.ratio))
    return table


def training_step(
    model: nn.Module, loss: Callable[[], Tensor], device: torch.device, dtype: torch.dtype
) -> Callable[[], None]:
    """A step under autocast to `dtype`, float32 being none; with float16 the loss is scaled, as training does it."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    scaler = torch.amp.GradScaler(device.type, enabled=dtype is torch.float16)

    def run() -> None:
        optimizer.zero_grad()
        with autocast(device, dtype):
            value = loss()
        scaler.scale(value).backward()
        scaler.step(optimizer)
        scaler.update()

    return run


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[Any]:
    """To `dtype`; float32 is none."""
    return nullcontext() if dtype is torch.float32 else torch.autocast(device.type, dtype)


def our_loss(model: nn.Module, images: Tensor, target: Tensor) -> Callable[[], Tensor]:
    """images (B, 3, H, W) on 0..1, target (B, H, W): cross-entropy as training has it."""
    loss = SegmentationLoss({"cross_entropy": CrossEntropy()})
    return lambda: loss(model(images * 255), target)


def segformer_loss(model: nn.Module, images: Tensor, target: Tensor) -> Callable[[], Tensor]:
    """The same of transformers' model, which has a loss of its own."""
    return lambda: model(pixel_values=images, labels=target).loss


def logits_loss(model: nn.Module, images: Tensor, target: Tensor) -> Callable[[], Tensor]:
    """The same of a model that gives logits, of the labels' size or smaller."""

    def loss() -> Tensor:
        logits = model(images)
        if logits.shape[2:] != target.shape[1:]:
            logits = F.interpolate(logits, size=target.shape[1:], mode="bilinear")
        return F.cross_entropy(logits, target, ignore_index=IGNORE)

    return loss


def segformer_b0(classes: int) -> nn.Module:
    """Transformers' SegFormer-B0 with random weights; UserError where transformers is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from transformers import SegformerConfig, SegformerForSemanticSegmentation
        except ImportError:
            raise UserError("suite=train compares with transformers, which is not installed: make peers") from None
    config: Any = SegformerConfig  # its defaults are B0's
    config = config(num_labels=classes, semantic_loss_ignore_index=IGNORE)
    model: nn.Module = SegformerForSemanticSegmentation(config)
    return model
