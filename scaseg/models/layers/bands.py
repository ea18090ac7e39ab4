"""A mix-FFN in bands of rows: its hidden map, four times as wide as its input, is never all there."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

BAND_BYTES = {"cpu": 4 * 2**20}  # of the hidden map: what stays in a core's cache is read from there
DEVICE_BAND_BYTES = 64 * 2**20


def in_row_bands(form: Callable[[Tensor], Tensor], x: Tensor, hidden: int, recompute: bool = False) -> Tensor:
    """form(x), x (B, H, W, C), where `form` sees no further than one row around a pixel and keeps H and W.

    hidden: channels of the widest map inside. With gradients `form` runs as it is, or, with recompute, again band by
    band in the backward pass. A graph that is being traced has it as it is, and so has the meta device, on which
    operations are counted: bands compute their border rows twice.
    """
    batch, height, width, _ = x.shape
    gradients = torch.is_grad_enabled()
    if (gradients and not recompute) or x.device.type == "meta" or torch.compiler.is_compiling():
        return form(x)
    room = BAND_BYTES.get(x.device.type, DEVICE_BAND_BYTES)
    rows = max(4, room // (x.element_size() * batch * hidden * width))
    if rows + 2 >= height:
        if not gradients:
            return form(x)
        rows = height

    def band(x: Tensor, start: int) -> Tensor:
        top = max(0, start - 1)
        return form(x[:, top : start + rows + 1])[:, start - top : start - top + rows]

    parts = []
    for start in range(0, height, rows):
        if gradients:
            parts.append(checkpoint(band, x, start, use_reentrant=False, preserve_rng_state=False))
        else:
            parts.append(band(x, start))
    return torch.cat(parts, 1)
