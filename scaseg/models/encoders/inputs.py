"""Weights made for RGB, for pictures of other channels: each colour's are shared among the channels that stand for it.

A picture whose channel i repeats colour i mod 3 then gives the features of that RGB picture; of one or two channels,
so does a grey picture. Where colours are repeated equally often, and of one channel, it is the rule of timm's
`adapt_input_conv`, which scales all channels by 3 / N and so gives other features where N is no multiple of 3.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

RULE = "channel i has the weights of colour i mod 3 (red, green, blue), divided by how many channels that colour has"
RULE_OF_FEW = "each channel has the sum of red's, green's and blue's weights, divided by how many channels there are"


def rule(channels: int) -> str:
    """In words."""
    return RULE if channels > 3 else RULE_OF_FEW


def shared(weight: Tensor, channels: int) -> Tensor:
    """A convolution's weights (out, 3, ...) for RGB -> (out, channels, ...)."""
    if channels < 3:
        return weight.sum(1, keepdim=True).expand(-1, channels, *weight.shape[2:]) / channels
    colours = torch.arange(channels, device=weight.device) % 3
    times = torch.bincount(colours, minlength=3)[colours].to(weight)
    return weight[:, colours] / times.view(-1, *[1] * (weight.ndim - 2))


def with_inputs(
    published: Mapping[str, Tensor], own: Mapping[str, Tensor], channels: int
) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors, those that take RGB where `own` takes `channels` by the rule; and the names of these."""
    taken, names = dict(published), list[str]()
    for name, ours in own.items():
        theirs = published.get(name)
        if theirs is not None and _takes_rgb(theirs, ours, channels):
            taken[name] = shared(theirs, channels)
            names.append(name)
    return taken, names


def _takes_rgb(theirs: Tensor, ours: Tensor, channels: int) -> bool:
    if channels == 3 or theirs.ndim != 4 or ours.ndim != 4 or theirs.shape[1] != 3:
        return False
    return ours.shape[1] == channels and theirs.shape[::2] == ours.shape[::2] and theirs.shape[3] == ours.shape[3]
