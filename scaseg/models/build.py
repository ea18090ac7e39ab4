"""From a configuration to modules: `_target_` names the class, the other keys are its arguments."""

from typing import Any

from torch import nn

from scaseg.errors import UserError
from scaseg.models.segmentor import MEAN, STD, Segmentor
from scaseg.named import MODELS, built
from scaseg.parts import Backbone, Decoder
from scaseg.typed import Part

OURS = ("weights", "weights_sha256", "mean", "std", "freeze")  # of the parts' keys those that no class takes


def build_module(part: Part, where: str, **extra: Any) -> nn.Module:
    """Instantiate the class of a part, an nn.Module of ours or one that was allowed, with its arguments and `extra`.

    where: the group, for messages. Raises UserError where the class is not allowed (see scaseg.named), is missing or
    refuses a value.
    """
    module: nn.Module = built(part, where, MODELS, nn.Module, "an nn.Module", without=OURS, **extra)
    return module


def build_segmentor(backbone: Backbone, decoder: Decoder, num_classes: int) -> Segmentor:
    """Encoder and decoder; no weights are loaded."""
    mean, std = normalisation(backbone)
    encoder = build_module(backbone, "backbone")
    channels: tuple[int, ...] = encoder.channels  # type: ignore[assignment]
    head = build_module(decoder, "decoder", in_channels=channels, num_classes=num_classes)
    return Segmentor(encoder, head, mean, std)


def normalisation(backbone: Backbone) -> tuple[list[float], list[float]]:
    """Mean and standard deviation, of RGB on 0..255, that the weights expect; ImageNet's where not given."""
    mean, std = list(backbone.option("mean") or MEAN), list(backbone.option("std") or STD)
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
        raise UserError(f"backbone.mean={mean} and backbone.std={std}: three numbers each, on the 0..255 scale")
    return mean, std
