"""The decoder as it runs beside the literal form of the paper's equations: each rewriting, and all of them."""

from collections.abc import Callable, Sequence

import scaseg.torchvision_fix  # noqa: F401

import torch
from torch import Tensor, nn

from scaseg.benchmark.measurement import Row
from scaseg.benchmark.options import BenchmarkConfig
from scaseg.complexity import summary
from scaseg.complexity.latency import Spread, interleaved
from scaseg.complexity.memory import peak_memory
from scaseg.config import image_size
from scaseg.data.build import num_classes
from scaseg.errors import UserError
from scaseg.models.build import build_segmentor
from scaseg.parts import Backbone
from scaseg.parts import Decoder as DecoderPart
from scaseg.schema import Run
from scaseg.typed import Yaml

LITERAL: Yaml = {"fuse": "literal", "strip": "exact", "recompute": False}
STRIDES = (4, 8, 16, 32)


class Decoder(nn.Module):
    """A decoder fed with random maps of an image's size, so that it can be timed and measured alone."""

    def __init__(self, decoder: nn.Module, channels: Sequence[int]) -> None:
        super().__init__()
        self.decoder = decoder
        self.channels = tuple(channels)

    def maps(self, image: Tensor) -> list[Tensor]:
        """Channels last in memory, as the encoders give them."""
        height, width = image.shape[2:]
        return [
            torch.randn(len(image), -(-height // s), -(-width // s), c, device=image.device)
            .permute(0, 3, 1, 2)
            .requires_grad_(torch.is_grad_enabled())
            for s, c in zip(STRIDES, self.channels, strict=True)
        ]

    def forward(self, image: Tensor) -> Tensor:
        """Image (B, 3, H, W), read for its size alone -> logits (B, K, H / 4, W / 4)."""
        logits: Tensor = self.decoder(self.maps(image))
        return logits


def rows(cfg: BenchmarkConfig, run: Run) -> list[Row]:
    """Times, multiply-adds and peak memory against the literal form, at the configured image size."""
    torch.set_num_threads(run.hardware.threads or 1)
    backbone, ours = run.backbone, run.decoder
    if ours.name != "scaseg":
        raise UserError(f"suite=decoder compares forms of decoder=scaseg; decoder={ours.name} has one")
    size, classes = image_size(run.protocol, run.augment, cfg.image_size), num_classes(run.dataset, run.data_dir)
    where = f"{backbone.name}, {size[0]} x {size[1]}"

    forms = {
        "as it runs": ours,
        "fuse at native resolution alone": ours.changed(strip="exact"),
        "strip attention in linear time alone": ours.changed(fuse="literal"),
    }
    literal = ours.changed(**LITERAL)
    table = []
    for backward in (False, True):
        work = "forward and backward" if backward else "forward"
        reference = _timed(backbone, literal, classes, size, backward)
        for name, form in forms.items():
            pair = interleaved(
                _timed(backbone, form, classes, size, backward), reference, torch.device("cpu"), 1, max(3, cfg.rounds)
            )
            table.append(Row(f"{where}, {work}: {name} / literal", "x", pair.ratio))
        peak, literally = (_peak(backbone, form, classes, size, backward) for form in (ours, literal))
        table.append(Row(f"{where}, {work}: peak memory / literal's", "x", _exactly(peak / literally), "at most 0.5"))
        table.append(Row(f"{where}, {work}: peak memory", "MiB", _exactly(peak / 2**20)))
    if ours.option("query_pool") == 1:
        pooled = _timed(backbone, ours.changed(**LITERAL, query_pool=2), classes, size, False)
        pair = interleaved(
            _timed(backbone, ours, classes, size, False), pooled, torch.device("cpu"), 1, max(3, cfg.rounds)
        )
        table.append(
            Row(f"{where}: tokens at full resolution / the pooled block, literal", "x", pair.ratio, "at most 1")
        )
    macs = summary.counts(backbone, ours, classes, size).macs / summary.counts(backbone, literal, classes, size).macs
    table.append(
        Row(f"{where}: multiply-adds of the whole model against the literal form", "%", _exactly(100 * macs - 100))
    )
    return table


def _decoder(backbone: Backbone, decoder: DecoderPart, classes: int) -> Decoder:
    torch.manual_seed(0)
    segmentor = build_segmentor(backbone, decoder, classes)
    channels: tuple[int, ...] = segmentor.encoder.channels  # type: ignore[assignment]
    return Decoder(segmentor.decoder, channels)


def _timed(
    backbone: Backbone, decoder: DecoderPart, classes: int, size: tuple[int, int], backward: bool
) -> Callable[[], None]:
    alone = _decoder(backbone, decoder, classes).train(backward)
    with torch.set_grad_enabled(backward):
        maps = alone.maps(torch.empty(1, 3, *size))

    def run() -> None:
        with torch.set_grad_enabled(backward):
            logits = alone.decoder(maps)
            if backward:
                logits.backward(torch.ones_like(logits))
                alone.zero_grad()

    return run


def _peak(backbone: Backbone, decoder: DecoderPart, classes: int, size: tuple[int, int], backward: bool) -> int:
    with torch.device("meta"):
        alone = _decoder(backbone, decoder, classes)
    return peak_memory(alone, size, backward=backward).tensors


def _exactly(value: float) -> Spread:
    return Spread(value, value, value, 1)
