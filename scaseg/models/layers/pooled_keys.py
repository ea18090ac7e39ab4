"""Fewer keys outside training, with the same weights: the map that keys and values come from is pooled first.

EDAFormer's inference spatial reduction (Yu et al., arXiv 2407.17261) for any attention whose keys lie on a grid. A
module takes part by having an attribute `key_ratio`, 1 unless it is said otherwise, None where it does not after all.
"""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from scaseg.errors import UserError


def pooled_keys(keys: Tensor, ratio: int, training: bool) -> Tensor:
    """(B, h, w, C) -> (B, ceil(h / ratio), ceil(w / ratio), C), means of cells; as it is in training."""
    if training or ratio == 1:
        return keys
    return F.avg_pool2d(keys.permute(0, 3, 1, 2), ratio, ceil_mode=True).permute(0, 2, 3, 1)


def pool_keys(model: nn.Module, ratio: int) -> None:
    """Set `key_ratio` of all that takes part; UserError where nothing does and a ratio above 1 is asked for."""
    parts: list[Any] = [module for module in model.modules() if getattr(module, "key_ratio", None) is not None]
    if ratio > 1 and not parts:
        raise UserError(
            f"protocol.key_ratio={ratio}: nothing in this model takes less time with fewer keys; the encoders MiT, LVT"
            " and EDAFormer's do, the decoder edaformer, and scaseg of more than two query/key channels a head"
        )
    for module in parts:
        module.key_ratio = ratio
