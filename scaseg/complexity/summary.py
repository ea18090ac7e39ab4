"""Parameters and multiply-adds of a configuration, as it runs and as the paper counts it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import torch

from scaseg.complexity.count import Counts, count
from scaseg.complexity.published import as_built, as_published, unused_parameters
from scaseg.models.build import build_segmentor
from scaseg.models.segmentor import Segmentor

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
    model = _build(_key(cfg), num_classes)
    encoder, decoder = _number(model.encoder), _number(model.decoder)
    built = _build(_key({**cfg, "decoder": as_built(cfg["decoder"])}), num_classes)
    unused = unused_parameters(cfg["decoder"], built.encoder.channels, num_classes)  # type: ignore[arg-type]
    return Parameters(encoder, decoder, encoder + _number(built.decoder) + unused)


def counts(cfg: Config, num_classes: int, image_size: tuple[int, int]) -> Counts:
    """Multiply-adds of the model as `cfg` has it, on one image of (height, width)."""
    return _counts(_key(cfg), num_classes, image_size)


def published_counts(cfg: Config, num_classes: int, image_size: tuple[int, int]) -> Counts:
    """Multiply-adds of the same model in the form that the paper counts: nothing rewritten."""
    return counts({**cfg, "decoder": as_published(cfg["decoder"])}, num_classes, image_size)


@cache
def _counts(key: str, num_classes: int, image_size: tuple[int, int]) -> Counts:
    return count(_build(key, num_classes), image_size)


@lru_cache(maxsize=8)
def _build(key: str, num_classes: int) -> Segmentor:
    with torch.device("meta"):
        return build_segmentor(json.loads(key), num_classes)


def _key(cfg: Config) -> str:
    """Equal configurations are built and counted once."""
    return json.dumps({part: cfg[part] for part in ("backbone", "decoder")}, sort_keys=True)


def _number(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
