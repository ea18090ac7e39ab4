"""The decoder as it runs beside the literal form of the paper's equations: each rewriting, and all of them."""

from collections.abc import Callable, Sequence
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from scaseg.benchmark.measurement import Row
from scaseg.complexity import summary
from scaseg.complexity.latency import Spread, interleaved
from scaseg.complexity.memory import peak_memory
from scaseg.config import image_size, num_classes, plain
from scaseg.errors import UserError
from scaseg.models.build import build_segmentor

LITERAL = {"fuse": "literal", "strip": "exact", "recompute": False}
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


def rows(cfg: DictConfig) -> list[Row]:
    """Times, multiply-adds and peak memory against the literal form, at the configured image size."""
    torch.set_num_threads(cfg.hardware.threads or 1)
    model = {"backbone": plain(cfg.backbone), "decoder": plain(cfg.decoder)}
    if model["decoder"]["name"] != "scaseg":
        raise UserError(f"suite=decoder compares forms of decoder=scaseg; decoder={model['decoder']['name']} has one")
    size, classes = image_size(cfg), num_classes(cfg)
    where = f"{model['backbone']['name']}, {size[0]} x {size[1]}"

    def with_keys(**keys: Any) -> dict[str, Any]:
        return {**model, "decoder": model["decoder"] | keys}

    forms = {
        "as it runs": model,
        "fuse at native resolution alone": with_keys(strip="exact"),
        "strip attention in linear time alone": with_keys(fuse="literal"),
    }
    literal = with_keys(**LITERAL)
    table = []
    for backward in (False, True):
        work = "forward and backward" if backward else "forward"
        reference = _timed(literal, classes, size, backward)
        for name, form in forms.items():
            pair = interleaved(
                _timed(form, classes, size, backward), reference, torch.device("cpu"), 1, max(3, cfg.rounds)
            )
            table.append(Row(f"{where}, {work}: {name} / literal", "x", pair.ratio))
        ours, theirs = (_peak(form, classes, size, backward) for form in (model, literal))
        table.append(Row(f"{where}, {work}: peak memory / literal's", "x", _exactly(ours / theirs), "at most 0.5"))
        table.append(Row(f"{where}, {work}: peak memory", "MiB", _exactly(ours / 2**20)))
    if model["decoder"]["query_pool"] == 1:
        pooled = _timed(with_keys(**LITERAL, query_pool=2), classes, size, False)
        pair = interleaved(_timed(model, classes, size, False), pooled, torch.device("cpu"), 1, max(3, cfg.rounds))
        table.append(
            Row(f"{where}: tokens at full resolution / the pooled block, literal", "x", pair.ratio, "at most 1")
        )
    macs = summary.counts(model, classes, size).macs / summary.counts(literal, classes, size).macs
    table.append(
        Row(f"{where}: multiply-adds of the whole model against the literal form", "%", _exactly(100 * macs - 100))
    )
    return table


def _decoder(model: dict[str, Any], classes: int) -> Decoder:
    torch.manual_seed(0)
    segmentor = build_segmentor(model, classes)
    channels: tuple[int, ...] = segmentor.encoder.channels  # type: ignore[assignment]
    return Decoder(segmentor.decoder, channels)


def _timed(model: dict[str, Any], classes: int, size: tuple[int, int], backward: bool) -> Callable[[], None]:
    alone = _decoder(model, classes).train(backward)
    with torch.set_grad_enabled(backward):
        maps = alone.maps(torch.empty(1, 3, *size))

    def run() -> None:
        with torch.set_grad_enabled(backward):
            logits = alone.decoder(maps)
            if backward:
                logits.backward(torch.ones_like(logits))
                alone.zero_grad()

    return run


def _peak(model: dict[str, Any], classes: int, size: tuple[int, int], backward: bool) -> int:
    with torch.device("meta"):
        alone = _decoder(model, classes)
    return peak_memory(alone, size, backward=backward).tensors


def _exactly(value: float) -> Spread:
    return Spread(value, value, value, 1)
