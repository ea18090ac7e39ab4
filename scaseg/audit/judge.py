"""A trained model's word on masks: what it says of each image, and what it sees in one."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import scaseg.torchvision_fix  # noqa: F401

import torch

from scaseg.audit.evidence import Evidence, evidence, softmin
from scaseg.audit.findings import Finding
from scaseg.audit.regions import regions_of
from scaseg.data.by_pillow import Picture
from scaseg.data.labels import IGNORE, Mask
from scaseg.data.source import Source
from scaseg.trained.model import TrainedModel, load_model


@dataclass(frozen=True)
class Judge:
    """model: what it is loaded from. images: those that it judges."""

    model: Path
    images: Source

    def load(self, device: torch.device) -> TrainedModel:
        return load_model(self.model, device)


@torch.inference_mode()
def said_of(model: TrainedModel, image: Picture, mask: Mask) -> Evidence:
    """Of an image (H, W, C) and its mask (H, W): by the model's protocol, mirrored too."""
    protocol = replace(model.protocol, flip=True)
    return evidence(model.scores(image, protocol), mask)


def findings(model: TrainedModel, images: Source, fold: int, least_region: float) -> Iterator[Finding]:
    """Of all images, one after the other."""
    for i in range(len(images)):
        image, mask = images.read(i)
        found = said_of(model, image, mask)
        least = max(1, round(least_region * mask.size))
        yield Finding(images.name(i), fold, softmin(found.own, mask != IGNORE), regions_of(found, mask, least))
