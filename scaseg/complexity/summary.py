"""Parameters and multiply-adds of a configuration, as it runs and as the paper counts it."""

import json
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from scaseg.complexity.count import Counts, count_decoder, count_encoder
from scaseg.complexity.published import as_built, as_published, idle_resize, unused_parameters
from scaseg.models.build import build_encoder, build_module
from scaseg.parts import Backbone, Decoder
from scaseg.typed import Part, to_plain


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


def parameters(backbone: Backbone, decoder: Decoder, num_classes: int, in_channels: int = 3) -> Parameters:
    """Of the model for K classes."""
    encoder = _encoder(_key(backbone), in_channels)
    channels = tuple(encoder.channels)  # type: ignore[arg-type]
    number = _number(_decoder(_key(decoder), channels, num_classes))
    built = _number(_decoder(_key(as_built(decoder)), channels, num_classes))
    unused = unused_parameters(decoder, channels, num_classes)
    return Parameters(_number(encoder), number, _number(encoder) + built + unused)


def counts(
    backbone: Backbone, decoder: Decoder, num_classes: int, image_size: tuple[int, int], in_channels: int = 3
) -> Counts:
    """Multiply-adds of the model as configured, on one image of (height, width)."""
    encoder, _ = _encoder_counts(_key(backbone), image_size, in_channels)
    return encoder + _decoder_counts(_key(decoder), _key(backbone), num_classes, image_size)


def published_counts(
    backbone: Backbone, decoder: Decoder, num_classes: int, image_size: tuple[int, int], in_channels: int = 3
) -> Counts:
    """Multiply-adds of the same model in the form that the paper counts: nothing rewritten, idle work included."""
    written_out = counts(backbone, as_published(decoder), num_classes, image_size, in_channels)
    channels = tuple(_encoder(_key(backbone)).channels)  # type: ignore[arg-type]
    idle = idle_resize(decoder, channels, image_size)
    return written_out + Counts({"decoder idle resize": (0, idle)} if idle else {}, {})


@cache
def _encoder_counts(key: str, image_size: tuple[int, int], in_channels: int = 3) -> tuple[Counts, list[Tensor]]:
    return count_encoder(_encoder(key, in_channels), image_size)


@cache
def _decoder_counts(key: str, backbone: str, num_classes: int, image_size: tuple[int, int]) -> Counts:
    _, features = _encoder_counts(backbone, image_size)
    channels = tuple(_encoder(backbone).channels)  # type: ignore[arg-type]
    return count_decoder(_decoder(key, channels, num_classes), features)


@cache
def _encoder(key: str, in_channels: int = 3) -> nn.Module:
    with torch.device("meta"):
        return build_encoder(Backbone(json.loads(key)), in_channels)


@cache
def _decoder(key: str, channels: tuple[int, ...], num_classes: int) -> nn.Module:
    with torch.device("meta"):
        return build_module(Decoder(json.loads(key)), "decoder", in_channels=channels, num_classes=num_classes)


def _key(part: Part) -> str:
    """Equal configurations are built and counted once; stochastic depth costs nothing and takes long to import."""
    without = part.changed(drop_path=0.0) if "drop_path" in part.values else part
    return json.dumps(to_plain(without), sort_keys=True)


def _number(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
