"""Parameters and multiply-adds of a configuration, as it runs and as the paper counts it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from scaseg.complexity.count import Counts, count_decoder, count_encoder
from scaseg.complexity.published import as_built, as_published, idle_resize, unused_parameters
from scaseg.models.build import build_module

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Parameters:
    """Plain numbers; `published` includes unused tensors of the published code, which are not built here."""

    encoder: int
    decoder: int
    published: int

    @property
    def total(self) -> int:
        """Encoder and decoder."""
        return self.encoder + self.decoder


def parameters(cfg: Config, num_classes: int) -> Parameters:
    """Of the model that `cfg` (plain dicts `backbone` and `decoder`) builds for `num_classes`."""
    encoder, decoder = _encoder(_key(cfg["backbone"])), _key(cfg["decoder"])
    channels = tuple(encoder.channels)  # type: ignore[arg-type]
    number = _number(_decoder(decoder, channels, num_classes))
    built = _number(_decoder(_key(as_built(cfg["decoder"])), channels, num_classes))
    unused = unused_parameters(cfg["decoder"], channels, num_classes)
    return Parameters(_number(encoder), number, _number(encoder) + built + unused)


def counts(cfg: Config, num_classes: int, image_size: tuple[int, int]) -> Counts:
    """Multiply-adds of the model as `cfg` has it, on one image of (height, width)."""
    backbone = _key(cfg["backbone"])
    encoder, _ = _encoder_counts(backbone, image_size)
    return encoder + _decoder_counts(_key(cfg["decoder"]), backbone, num_classes, image_size)


def published_counts(cfg: Config, num_classes: int, image_size: tuple[int, int]) -> Counts:
    """Multiply-adds of the same model in the form that the paper counts: nothing rewritten, idle work included."""
    written_out = counts({**cfg, "decoder": as_published(cfg["decoder"])}, num_classes, image_size)
    channels = tuple(_encoder(_key(cfg["backbone"])).channels)  # type: ignore[arg-type]
    idle = idle_resize(cfg["decoder"], channels, image_size)
    return written_out + Counts({"decoder idle resize": (0, idle)} if idle else {}, {})


@cache
def _encoder_counts(key: str, image_size: tuple[int, int]) -> tuple[Counts, list[Tensor]]:
    return count_encoder(_encoder(key), image_size)


@cache
def _decoder_counts(key: str, backbone: str, num_classes: int, image_size: tuple[int, int]) -> Counts:
    _, features = _encoder_counts(backbone, image_size)
    channels = tuple(_encoder(backbone).channels)  # type: ignore[arg-type]
    return count_decoder(_decoder(key, channels, num_classes), features)


@cache
def _encoder(key: str) -> nn.Module:
    with torch.device("meta"):
        return build_module(json.loads(key), "backbone")


@cache
def _decoder(key: str, channels: tuple[int, ...], num_classes: int) -> nn.Module:
    with torch.device("meta"):
        return build_module(json.loads(key), "decoder", in_channels=channels, num_classes=num_classes)


def _key(part: Config) -> str:
    """Equal configurations are built and counted once; stochastic depth costs nothing and takes long to import."""
    return json.dumps({**part, "drop_path": 0.0} if "drop_path" in part else dict(part), sort_keys=True)


def _number(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
