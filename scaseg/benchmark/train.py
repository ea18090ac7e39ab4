"""A training step of the bare model beside two public SegFormer-B0: forward, loss, backward, AdamW."""

import warnings
from collections.abc import Callable
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

BATCH, SIZE = 2, (256, 256)


def rows(cfg: BenchmarkConfig, run: Run) -> list[Row]:
    """Ratio of times; both with the same AdamW, cross-entropy at the labels' size, and random images."""
    torch.set_num_threads(run.hardware.threads or 1)
    classes = num_classes(run.dataset, run.data_dir)
    torch.manual_seed(0)
    ours, theirs = build_segmentor(run.backbone, run.decoder, classes).train(), _segformer_b0(classes).train()
    images = torch.rand(BATCH, 3, *SIZE)
    target = torch.randint(0, classes, (BATCH, *SIZE))
    loss = SegmentationLoss({"cross_entropy": CrossEntropy()})
    our_step = _step(ours, lambda: loss(ours(images * 255), target))
    their_step = _step(theirs, lambda: theirs(pixel_values=images, labels=target).loss)
    pair = interleaved(our_step, their_step, torch.device("cpu"), 2, cfg.rounds)
    name = f"{run.backbone.name}, batch {BATCH}, {SIZE[0]} x {SIZE[1]}, {classes} classes"
    table = [
        Row(f"training step, {name}: ours / transformers' SegFormer-B0", "x", pair.ratio, "at most 0.85"),
        Row(f"training step, {name}: ours", "s", pair.a),
    ]
    peer = smp_segformer("mit_b0", classes)
    if peer is not None:
        peer.train()
        their_step = _step(peer, lambda: F.cross_entropy(peer(images), target, ignore_index=IGNORE))
        pair = interleaved(our_step, their_step, torch.device("cpu"), 2, cfg.rounds)
        what = f"training step, {name}: ours / segmentation-models-pytorch's Segformer, mit_b0"
        table.append(Row(what, "x", pair.ratio))
    return table


def _step(model: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], None]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)

    def run() -> None:
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    return run


def _segformer_b0(classes: int) -> nn.Module:
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
