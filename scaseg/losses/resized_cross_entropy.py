"""Cross-entropy of logits resized to the target's size, without the resized logits.

The loss is a sum over pixels, and the resize is linear: a band of rows is resized, scored and differentiated while it
lies in the cache, and its gradient goes back to the small logits at once. The largest tensors of a training step, three
of K x H x W, are gone; with many classes this is also several times faster on a CPU (`suite=train`).
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from scaseg.models.layers.resize_rows import row_mix

FEWEST_CLASSES = 16  # with fewer, the plain form is faster on CPU
BAND_BYTES = {"cpu": 2 * 2**20}  # of resized logits: half a core's cache
DEVICE_BAND_BYTES = 256 * 2**20


def resized_cross_entropy(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """sum_p weight_p (log sum_k e^(x_pk) - x_p,target_p) over the pixels p of the target, in float32 -> scalar.

    x is logits (B, K, h, w) resized bilinearly to target (B, H, W), int64, every id below K; weight (B, H, W).
    Once differentiable, with respect to the logits.
    """
    loss: Tensor = _ResizedCrossEntropy.apply(logits, target, weight)  # type: ignore[no-untyped-call]
    return loss


class _ResizedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        with torch.autocast(logits.device.type, enabled=False):
            small = logits.detach().float().permute(0, 2, 3, 1).contiguous()
            loss, grad = small.new_zeros(()), torch.zeros_like(small)
            for image, gradient, ids, weights in zip(small, grad, target, weight.float(), strict=True):
                loss += _image(image, gradient, ids, weights)
        ctx.save_for_backward(grad.permute(0, 3, 1, 2).to(logits.dtype))
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        (grad,) = ctx.saved_tensors
        return grad * upstream, None, None


def _image(logits: Tensor, grad: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """The sum over one image, logits (h, w, K); adds its gradient to grad, of the same shape."""
    source, width, classes = logits.shape
    size = target.shape
    count = max(1, BAND_BYTES.get(logits.device.type, DEVICE_BAND_BYTES) // (4 * classes * size[1]))
    loss = logits.new_zeros(())
    for start in range(0, size[0], count):
        stop = min(size[0], start + count)
        first, last, mix = row_mix(start, stop, source, size[0])
        mix = mix.to(logits)
        tall = (mix @ logits[first:last].flatten(1)).view(1, stop - start, width, classes).permute(0, 3, 1, 2)
        wide = F.interpolate(tall, size=(stop - start, size[1]), mode="bilinear").permute(0, 2, 3, 1)
        log_probability = wide.log_softmax(-1)
        ids, weights = target[start:stop].view(1, -1, size[1], 1), weight[start:stop].view(1, -1, size[1], 1)
        loss -= (log_probability.gather(-1, ids) * weights).sum()
        d_wide = log_probability.exp_().mul_(weights).scatter_add_(-1, ids, -weights)
        d_tall = torch.ops.aten.upsample_bilinear2d_backward(
            d_wide.permute(0, 3, 1, 2), [stop - start, size[1]], list(tall.shape), False
        )
        grad[first:last] += (mix.t() @ d_tall[0].permute(1, 2, 0).flatten(1)).view(last - first, width, classes)
    return loss
