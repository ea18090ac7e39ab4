"""From a configuration to modules: `_target_` names the class, the other keys are its arguments."""

from typing import Any

from torch import nn

from scaseg.errors import UserError
from scaseg.form import RGB, Form
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


def build_encoder(backbone: Backbone, in_channels: int = 3) -> nn.Module:
    """The encoder for pictures of so many channels; UserError where its class takes others."""
    prefer = {"in_channels": in_channels}
    encoder: nn.Module = built(backbone, "backbone", MODELS, nn.Module, "an nn.Module", without=OURS, prefer=prefer)
    if (takes := getattr(encoder, "in_channels", 3)) != in_channels:
        raise UserError(
            f"backbone={backbone.name} takes pictures of {takes} channels, and dataset.channels={in_channels}: choose"
            " another, or give its class a parameter and an attribute in_channels"
        )
    return encoder


def build_segmentor(backbone: Backbone, decoder: Decoder, num_classes: int, form: Form = RGB) -> Segmentor:
    """Encoder and decoder for pictures of this form; no weights are loaded."""
    mean, std = normalisation(backbone, form)
    encoder = build_encoder(backbone, form.channels)
    channels: tuple[int, ...] = encoder.channels  # type: ignore[assignment]
    head = build_module(decoder, "decoder", in_channels=channels, num_classes=num_classes)
    return Segmentor(encoder, head, mean, std)


def normalisation(backbone: Backbone, form: Form = RGB) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel: the dataset's own, else of RGB on 0..255 what the weights expect.

    That is ImageNet's where the encoder says nothing. UserError for others than RGB of 8 bits without their own.
    """
    if form.mean is not None and form.std is not None:
        return list(form.mean), list(form.std)
    if not form.is_rgb:
        raise UserError(
            f"dataset.channels={form.channels} dataset.dtype={form.dtype}: mean and deviation of the channels are not"
            " known: python -m scaseg.prepare dataset=folder data_dir=DIR with these options measures them, or give"
            " dataset.mean=[...] dataset.std=[...], one a channel"
        )
    mean, std = list(backbone.option("mean") or MEAN), list(backbone.option("std") or STD)
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
        raise UserError(f"backbone.mean={mean} and backbone.std={std}: three numbers each, on the 0..255 scale")
    return mean, std
