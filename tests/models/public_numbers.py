"""A decoder's weights and maps made from names and sizes alone: what public code gave for them is in JSON beside it.

The public decoder ran once with these tensors under its own names, in float64; its code is not here.
"""

import zlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

CHANNELS = (8, 12, 20, 32)
CLASSES = 5
SIZE = (96, 160)


def made(name: str, shape: Sequence[int]) -> Tensor:
    """Normal numbers in float64 that follow from a name."""
    return torch.from_numpy(np.random.default_rng(zlib.crc32(name.encode())).standard_normal(tuple(shape)))


def filled(model: nn.Module) -> nn.Module:
    """In float64 and evaluation mode, every tensor far from what hides a mistake."""
    model = model.double().eval()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if not tensor.is_floating_point():
                continue
            values = made(name, tensor.shape)
            if name.endswith("running_var"):
                values = torch.exp(0.3 * values)
            elif tensor.ndim == 1:
                values = 0.2 * values + (1.0 if name.endswith("weight") or "layer_scale" in name else 0.0)
            else:
                values = values * float(np.prod(tensor.shape[1:])) ** -0.5
            tensor.copy_(values)
    return model


def maps(size: tuple[int, int] = SIZE, channels: Sequence[int] = CHANNELS) -> list[Tensor]:
    """Four maps (1, C_i, ceil(H / s), ceil(W / s))."""
    return [
        made(f"map at stride {s}", (1, c, *(-(-side // s) for side in size)))
        for c, s in zip(channels, (4, 8, 16, 32), strict=True)
    ]


def shown(logits: Tensor) -> list[float]:
    """Some 40 of the logits, rounded to 8 digits."""
    flat = logits.flatten()
    return [float(f"{value:.8g}") for value in flat[:: max(1, len(flat) // 40)].tolist()]
