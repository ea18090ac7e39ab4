"""The model as a graph with free batch, height and width: what every export starts from."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from scaseg.errors import UserError
from scaseg.models.segmentor import Segmentor
from scaseg.parts import Decoder

LEAST_SIDE = 64  # in pixels; times query_pool, for no grid may have a single row
EXAMPLE = (2, 192, 224)  # batch, height, width: none equal to another, none 1, which would be taken for constants
OUTPUTS = ("logits", "labels")
Labels = Callable[[Tensor], Tensor]
FREE = {"images": {0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}}


def least_side(decoder: Decoder) -> int:
    """Of the images that an exported model takes."""
    return LEAST_SIDE * int(decoder.option("query_pool") or 1)


class Exported(nn.Module):
    """Images (B, C, H, W) float32, RGB on 0..255 -> logits (B, K, ~H/4, ~W/4) or labels (B, H, W) int64.

    labels: of full-size logits.
    """

    def __init__(self, segmentor: Segmentor, output: str, labels: Labels) -> None:
        super().__init__()
        self.segmentor = segmentor
        self.output = output
        self.labels = labels

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.segmentor(images)
        if self.output == "logits":
            return logits
        return self.labels(F.interpolate(logits, size=images.shape[2:], mode="bilinear"))


def best(logits: Tensor) -> Tensor:
    """The class of the highest logit (B, K, H, W) -> (B, H, W)."""
    return logits.argmax(1)


def example(channels: int) -> Tensor:
    """Images (B, C, H, W) float32 to follow a model with."""
    batch, height, width = EXAMPLE
    return torch.rand(batch, channels, height, width)


def capture(segmentor: Segmentor, output: str, strip: str, labels: Labels = best) -> ExportedProgram:
    """The graph of a segmentor in evaluation mode; UserError where torch.export cannot follow the model.

    strip: how its strip attention is computed, `exact` or `spline`, for a graph cannot choose by size. labels: of
    full-size logits, where these are the output.
    """
    with computed(segmentor, strip), torch.no_grad(), quiet():
        try:
            return torch.export.export(
                Exported(segmentor, output, labels),
                (example(segmentor.in_channels) * 255,),
                dynamic_shapes=FREE,
                strict=False,
            )
        except Exception as error:  # torch.export's many; a backbone of the user's choice may be any of timm's
            first = (str(error) or type(error).__name__).splitlines()[0]
            raise UserError(
                f"torch.export cannot follow this model with free sizes ({type(error).__name__}: {first});"
                " format=safetensors exports any"
            ) from error


@contextmanager
def computed(segmentor: nn.Module, strip: str) -> Iterator[None]:
    """Within it, every strip attention is computed in this form."""
    attentions: list[Any] = [module for module in segmentor.modules() if hasattr(module, "strip")]
    before = [attention.strip for attention in attentions]
    for attention in attentions:
        attention.strip = strip
    try:
        yield
    finally:
        for attention, form in zip(attentions, before, strict=True):
            attention.strip = form


@contextmanager
def quiet() -> Iterator[None]:
    """Without the exporters' notices of their own deprecations."""
    with warnings.catch_warnings():
        for category in (FutureWarning, DeprecationWarning, UserWarning):
            warnings.simplefilter("ignore", category)
        yield
