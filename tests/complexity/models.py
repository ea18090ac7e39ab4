from typing import Any

import torch
from torch import nn

from scaseg.config import compose, run_config
from scaseg.models.build import build_segmentor
from scaseg.models.segmentor import Segmentor
from scaseg.parts import Backbone, Decoder


def config(*overrides: str) -> tuple[Backbone, Decoder]:
    """As the benchmark command has them."""
    import scaseg.benchmark.__main__  # noqa: F401

    cfg = compose("benchmark", list(overrides))
    run = run_config(cfg)
    return run.backbone, run.decoder


def decoder_part(name: str, **options: Any) -> Decoder:
    return Decoder({"_target_": "scaseg.models.decoders", "name": name, **options})


def on_meta(*overrides: str, num_classes: int = 150) -> Segmentor:
    with torch.device("meta"):
        return build_segmentor(*config(*overrides), num_classes)


class FourMaps(nn.Module):
    """An encoder of four strided convolutions, so small that it can be counted by hand."""

    channels = (2, 3, 4, 5)

    def __init__(self) -> None:
        super().__init__()
        widths = (3, *self.channels)
        self.stages = nn.ModuleList(
            nn.Conv2d(a, b, s, s) for a, b, s in zip(widths, self.channels, (4, 2, 2, 2), strict=False)
        )

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps[:1] + [m.permute(0, 2, 3, 1).permute(0, 3, 1, 2) for m in maps[1:]]
