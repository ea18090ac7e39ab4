"""Logits and targets to try a loss at, and the public implementations to hold it against."""

import warnings
from typing import Any

import scaseg.torchvision_fix  # noqa: F401

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from scaseg.data.labels import IGNORE as IGNORE

Array = npt.NDArray[np.float64]


def case(
    classes: int = 4, size: tuple[int, int] = (5, 6), seed: int = 0, ignored: float = 0.3, present: int | None = None
) -> tuple[Tensor, Tensor]:
    """Three images, the last without a label: logits (3, K, H, W) float64 that want a gradient, target (3, H, W).

    ignored: the share of the other pixels that are; present: the classes that may be there, the first so many.
    """
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(3, classes, *size, generator=generator, dtype=torch.float64)
    target = torch.randint(0, present or classes, (3, *size), generator=generator)
    target[torch.rand(target.shape, generator=generator) < ignored] = IGNORE
    target[2] = IGNORE
    return logits.requires_grad_(), target


def pixels(logits: Tensor, target: Tensor) -> list[tuple[Array, int]]:
    """(Softmax probabilities (K,), class) of each labelled pixel, in float64."""
    found = []
    for image, ids in zip(logits.detach().double().numpy(), target.numpy(), strict=True):
        for y, x in np.ndindex(*ids.shape):
            if ids[y, x] != IGNORE:
                powers = np.exp(image[:, y, x] - image[:, y, x].max())
                found.append((powers / powers.sum(), int(ids[y, x])))
    return found


def peer() -> Any:
    """segmentation_models_pytorch.losses; the test skips where it is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("segmentation_models_pytorch.losses")
