"""The end of a decoder, classifier(dropout(relu(norm(x)))), trained with one map of x's size in place of four.

Autograd would keep x, the activated map and the dropped one, and make the last one's gradient beside them. Here x alone
is kept, and the backward pass goes over its pixels in two rounds of bands that fit into a cache: the first makes the
gradient of the norm's result, from the rest computed again, and sums it up; the second turns it into the gradient of x
in place (Ioffe and Szegedy, ICML 2015). Gradients of gradients need decoder.recompute=false.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from scaseg.models.layers.fuse import Fuse
from scaseg.models.layers.pointwise import PointwiseConv, pointwise
from scaseg.models.layers.recompute import traced

BAND = 2**17  # numbers of x
SHARE = 128  # channels


def scores(x: Tensor, norm: nn.BatchNorm2d, dropout: nn.Dropout2d, classifier: PointwiseConv) -> Tensor:
    """x (B, C, H, W) -> (B, K, H, W). x is written to where the norm is not training, as by an activation in place."""
    batch_norm = type(norm) is nn.BatchNorm2d and norm.training and norm.momentum is not None
    if traced() or not batch_norm or not torch.is_grad_enabled():
        out: Tensor = classifier(dropout(F.relu_(norm(x))))
        return out
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
    kept = dropout(x.new_ones(*x.shape[:2], 1, 1))
    statistics = norm.running_mean, norm.running_var, norm.momentum, norm.eps
    inputs = x, norm.weight, norm.bias, classifier.weight, classifier.bias, kept, *statistics
    logits: Tensor = _Scores.apply(*inputs)[0]  # type: ignore[no-untyped-call]
    return logits


def scores_in_shares(fuse: Fuse, maps: Sequence[Tensor], classifier: PointwiseConv) -> Tensor:
    """classifier(fuse(maps)) outside training, a few channels of the fused map at a time, in full precision alone.

    On the meta device operations are counted, which they are as parts of modules.
    """
    device = maps[0].device.type
    plain = classifier.in_channels <= SHARE or traced() or device == "meta" or torch.is_grad_enabled()
    if plain or torch.is_autocast_enabled(device) or maps[0].dtype not in (torch.float32, torch.float64):
        out: Tensor = classifier(fuse(maps))
        return out
    folded, weight = fuse.folded(), classifier.weight
    logits = None
    for start in range(0, weight.shape[1], SHARE):
        channels = slice(start, start + SHARE)
        bias = classifier.bias if logits is None else None
        part = pointwise(fuse.share(maps, folded, channels).permute(0, 2, 3, 1), weight[:, channels], bias)
        logits = part if logits is None else logits.add_(part)
    assert logits is not None
    return logits.permute(0, 3, 1, 2)


class _Scores(torch.autograd.Function):
    @staticmethod
    def forward(
        x: Tensor, gain: Tensor, offset: Tensor, weight: Tensor, bias: Tensor | None, kept: Tensor, *statistics: Any
    ) -> tuple[Tensor, ...]:
        running_mean, running_var, momentum, eps = statistics
        normed, mean, rate = torch.native_batch_norm(x, gain, offset, running_mean, running_var, True, momentum, eps)
        activated = normed.relu_().mul_(kept).permute(0, 2, 3, 1)
        return pointwise(activated, weight, bias).permute(0, 3, 1, 2), mean, rate

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.mark_non_differentiable(*output[1:])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*inputs[:4], inputs[5], *output[1:])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor | None, *_: Any) -> tuple[Tensor | None, ...]:
        if grad is None:
            return (None,) * 10
        x, gain, offset, weight, kept, mean, rate = ctx.saved_tensors
        pixels, scored = (t.permute(0, 2, 3, 1).flatten(1, 2) for t in (x, grad))  # (B, H W, channels)
        wide = mean.dtype  # float32 where x is narrower
        matrix = weight.flatten(1).to(wide)
        d_pixels = torch.empty_like(pixels, dtype=wide)
        d_matrix = torch.zeros_like(matrix)
        d_gain, d_offset = torch.zeros_like(mean), torch.zeros_like(mean)
        size = max(1, BAND // x.shape[1])
        bands = [
            (item, slice(start, start + size)) for item in range(len(x)) for start in range(0, pixels.shape[1], size)
        ]
        for item, band in bands:
            centred = (pixels[item, band].to(wide) - mean).mul_(rate)
            activated = torch.addcmul(offset, centred, gain).relu_()
            factor, arriving = kept[item].view(-1).to(wide), scored[item, band].to(wide)
            d_matrix.addmm_(arriving.t(), activated * factor)
            d_normed = d_pixels[item, band]
            torch.mm(arriving, matrix * factor, out=d_normed)
            d_normed.mul_(activated > 0)
            d_offset += d_normed.sum(0)
            d_gain += centred.mul_(d_normed).sum(0)
        count = pixels.shape[0] * pixels.shape[1]
        for item, band in bands:
            centred = (pixels[item, band].to(wide) - mean).mul_(rate)
            d_normed = d_pixels[item, band]
            d_normed.sub_(d_offset / count).sub_(centred.mul_(d_gain / count)).mul_(gain * rate)
        d_x = d_pixels.to(x.dtype).unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)
        d_weight = d_matrix.view_as(weight).to(weight.dtype)
        d_bias = scored.sum((0, 1), dtype=wide).to(weight.dtype) if ctx.needs_input_grad[4] else None
        return d_x, d_gain.to(gain.dtype), d_offset.to(offset.dtype), d_weight, d_bias, *(None,) * 5
