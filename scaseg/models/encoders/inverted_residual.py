"""Hidden channels of timm's inverted residual blocks (MobileNetV2, EfficientNet-Lite), which may be made fewer.

A block is conv_pw 1 x 1, bn1, conv_dw depthwise, bn2, conv_pwl 1 x 1, bn3; its hidden channels are those in between.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

NORM = ("weight", "bias", "running_mean", "running_var")
MADE = ("conv_pw.weight", "conv_dw.weight", *(f"{norm}.{name}" for norm in ("bn1", "bn2") for name in NORM))
READ = "conv_pwl.weight"


def inverted_residuals(net: nn.Module) -> list[tuple[str, Any]]:
    """Name and module of each, in order, without those that squeeze and excite: their hidden channels meet."""
    found = []
    for name, block in net.named_modules():
        if type(block).__name__ == "InvertedResidual" and type(block).__module__.startswith("timm."):
            between = [getattr(block, part, None) for part in ("se", "aa")]
            if all(isinstance(part, nn.Identity) for part in between) and block.conv_pw.bias is None:
                found.append((name, block))
    return found


def narrow(net: nn.Module, hidden: Sequence[int]) -> None:
    """Leave each block so many hidden channels, its first ones, in place; ValueError for numbers that do not fit."""
    blocks = inverted_residuals(net)
    wide = [int(block.conv_pw.out_channels) for _, block in blocks]
    if len(hidden) != len(wide) or not all(1 <= now <= then for now, then in zip(hidden, wide, strict=True)):
        raise ValueError(f"backbone.hidden_channels={list(hidden)}: of each inverted residual block from 1 to {wide}")
    for (_, block), channels in zip(blocks, hidden, strict=True):
        tensors = block.state_dict()
        for name in MADE:
            _put(block, name, tensors[name][:channels])
        _put(block, READ, tensors[READ][:, :channels])
        block.conv_pw.out_channels = block.conv_pwl.in_channels = channels
        block.conv_dw.in_channels = block.conv_dw.out_channels = block.conv_dw.groups = channels
        block.bn1.num_features = block.bn2.num_features = channels


def _put(block: nn.Module, name: str, tensor: Tensor) -> None:
    layer, _, key = name.partition(".")
    module = block.get_submodule(layer)
    setattr(module, key, nn.Parameter(tensor.clone()) if key in module._parameters else tensor.clone())
