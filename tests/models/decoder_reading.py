"""A second reading of the SCASeg decoder, from the spec's equations: channels first, loops, nothing folded or fused.

It reads the weights of a built decoder and shares no computation with it.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

POOLS = {1: 8, 2: 4, 3: 2, 4: 1}


def logits(decoder: Any, features: Sequence[Tensor], stages: Sequence[int] = (4, 3, 2, 1)) -> Tensor:
    """The decoder's output in evaluation mode."""
    maps = {i + 1: feature for i, feature in enumerate(features)}
    for i in stages:
        maps[i] = block(decoder, i, maps)
    return fused(decoder, [maps[i] for i in (1, 2, 3, 4)])


def block(decoder: Any, i: int, maps: dict[int, Tensor]) -> Tensor:
    """D_i from F_1..F_i and D_{i+1}..D_4 (equations 5 to 7)."""
    part = decoder.blocks[str(i)]
    own = maps[i]
    m = memory(decoder, i, maps)
    z = attention(part.attention, layer_norm(own, part.norm_query), layer_norm(m, part.norm_memory)) + own
    if part.lpm is not None:
        z = local_perception(part.lpm, layer_norm(z, part.norm_lpm)) + z
    return feed_forward(part.ffn, layer_norm(z, part.norm_ffn)) + z


def memory(decoder: Any, i: int, maps: dict[int, Tensor]) -> Tensor:
    gather = decoder.gathers[str(i)]
    rows, columns = (-(-n // decoder.query_pool) for n in maps[4].shape[2:])
    sources = [i] if len(gather.project) == 1 else [1, 2, 3, 4]
    parts = []
    for j, projection in zip(sources, gather.project, strict=True):
        ratio = POOLS[j] * decoder.query_pool
        pooled = average_pool(maps[j], ratio)
        assert pooled.shape[2:] == (rows, columns)
        assert isinstance(projection, nn.Conv2d) == (ratio > 1)
        parts.append(pointwise(pooled, projection) if ratio > 1 else pooled)
    return torch.cat(parts, 1)


def average_pool(x: Tensor, ratio: int) -> Tensor:
    """Mean of each ratio x ratio window; windows that reach over the edge are cut there."""
    rows, columns = (-(-n // ratio) for n in x.shape[2:])
    out = x.new_empty((*x.shape[:2], rows, columns))
    for r in range(rows):
        for c in range(columns):
            window = x[:, :, r * ratio : (r + 1) * ratio, c * ratio : (c + 1) * ratio]
            out[:, :, r, c] = window.flatten(2).sum(2) / (window.shape[2] * window.shape[3])
    return out


def attention(module: Any, query: Tensor, m: Tensor) -> Tensor:
    """SCA, or the Cityscapes form of it: both maps normed, (B, C, H, W) and (B, T, h, w)."""
    if hasattr(module, "reduce"):
        pooled = layer_norm(pointwise(average_pool(query, module.pool), module.reduce), module.norm_query)
        attended = attention(module.attention, gelu(pooled), gelu(layer_norm(m, module.norm_memory)))
        return F.interpolate(attended, size=query.shape[2:], mode="bilinear", align_corners=False)
    heads, r = module.heads, module.qk_channels
    q, k, v = (linear(x, layer).flatten(2) for x, layer in ((query, module.q), (m, module.k), (m, module.v)))
    width = v.shape[1] // heads
    out = []
    for h in range(heads):
        scores = torch.einsum("bcn,bcm->bnm", q[:, h * r : (h + 1) * r], k[:, h * r : (h + 1) * r]) / math.sqrt(r)
        weights = torch.exp(scores - scores.amax(2, keepdim=True))
        weights = weights / weights.sum(2, keepdim=True)
        out.append(torch.einsum("bnm,bdm->bdn", weights, v[:, h * width : (h + 1) * width]))
    return linear(torch.cat(out, 1).view(query.shape), module.out)


def local_perception(module: Any, x: Tensor) -> Tensor:
    """Equations 17 to 19, whose residual is from the module's own, normed, input."""
    d = depthwise(pointwise(x, module.expand).clamp(min=0), module.depthwise)
    return x + pointwise(channel_attention(module.attention, d), module.project)


def channel_attention(module: Any, x: Tensor) -> Tensor:
    """The map reweighted, by the class's own paper."""
    name = type(module).__name__
    mean = x.flatten(2).sum(2) / (x.shape[2] * x.shape[3])
    if name == "SqueezeExcitation":
        hidden = (mean @ module.squeeze.weight.T + module.squeeze.bias).clamp(min=0)
        weight = sigmoid(hidden @ module.excite.weight.T + module.excite.bias)
        return x * weight[:, :, None, None]
    if name == "EfficientChannelAttention":
        kernel = module.conv.weight.flatten()
        reach = len(kernel) // 2
        weight = torch.zeros_like(mean)
        for c in range(x.shape[1]):
            for offset in range(-reach, reach + 1):
                if 0 <= c + offset < x.shape[1]:
                    weight[:, c] += kernel[offset + reach] * mean[:, c + offset]
        return x * sigmoid(weight)[:, :, None, None]
    if name == "ConvolutionalBlockAttention":
        score = sum(
            (pooled @ module.squeeze.weight.T).clamp(min=0) @ module.excite.weight.T
            for pooled in (mean, x.flatten(2).max(2).values)
        )
        x = x * sigmoid(score)[:, :, None, None]
        both = torch.stack([x.sum(1) / x.shape[1], x.max(1).values], 1)
        return x * sigmoid(correlate(both, module.spatial.weight))
    assert name == "CoordinateAttention"
    rows = x.sum(3) / x.shape[3]  # (B, C, H)
    columns = x.sum(2) / x.shape[2]  # (B, C, W)
    hidden = torch.einsum("oc,bcn->bon", module.squeeze.weight[:, :, 0, 0], torch.cat([rows, columns], 2))
    hidden = batch_norm(hidden + module.squeeze.bias[None, :, None], module.norm)
    hidden = hidden * (hidden + 3).clamp(0, 6) / 6
    of_rows, of_columns = hidden[:, :, : x.shape[2]], hidden[:, :, x.shape[2] :]
    row = torch.einsum("oc,bcn->bon", module.rows.weight[:, :, 0, 0], of_rows) + module.rows.bias[:, None]
    column = torch.einsum("oc,bcn->bon", module.columns.weight[:, :, 0, 0], of_columns) + module.columns.bias[:, None]
    return x * sigmoid(row)[:, :, :, None] * sigmoid(column)[:, :, None, :]


def feed_forward(module: Any, x: Tensor) -> Tensor:
    return linear(gelu(depthwise(linear(x, module.expand), module.depthwise)), module.project)


def fused(decoder: Any, maps: Sequence[Tensor]) -> Tensor:
    size = maps[0].shape[2:]
    resized = [F.interpolate(x, size=size, mode="bilinear", align_corners=False) for x in maps]
    mixed = torch.einsum("oc,bchw->bohw", decoder.fuse.conv.weight[:, :, 0, 0], torch.cat(resized, 1))
    return pointwise(batch_norm(mixed, decoder.fuse.norm).clamp(min=0), decoder.classifier)


def linear(x: Tensor, layer: nn.Linear) -> Tensor:
    """On the channels of (B, C, H, W)."""
    out = torch.einsum("oc,bchw->bohw", layer.weight, x)
    return out if layer.bias is None else out + layer.bias[:, None, None]


def pointwise(x: Tensor, conv: Any) -> Tensor:
    assert conv.kernel_size == (1, 1)
    return torch.einsum("oc,bchw->bohw", conv.weight[:, :, 0, 0], x) + conv.bias[:, None, None]


def depthwise(x: Tensor, conv: Any) -> Tensor:
    assert conv.kernel_size == (3, 3)
    assert conv.groups == x.shape[1]
    per_channel = [correlate(x[:, c : c + 1], conv.weight[c : c + 1]) for c in range(x.shape[1])]
    return torch.cat(per_channel, 1) + conv.bias[:, None, None]


def correlate(x: Tensor, kernel: Tensor) -> Tensor:
    """(B, C, H, W) with one kernel (1, C, k, k), zeros around -> (B, 1, H, W)."""
    reach = kernel.shape[-1] // 2
    padded = F.pad(x, (reach, reach, reach, reach))
    out = torch.zeros_like(x[:, :1])
    for dy in range(kernel.shape[2]):
        for dx in range(kernel.shape[3]):
            shifted = padded[:, :, dy : dy + x.shape[2], dx : dx + x.shape[3]]
            out += (kernel[:, :, dy, dx, None, None] * shifted).sum(1, keepdim=True)
    return out


def layer_norm(x: Tensor, norm: nn.LayerNorm) -> Tensor:
    """Over the channels of (B, C, H, W)."""
    centred = x - x.sum(1, keepdim=True) / x.shape[1]
    variance = (centred**2).sum(1, keepdim=True) / x.shape[1]
    return centred / torch.sqrt(variance + 1e-5) * norm.weight[:, None, None] + norm.bias[:, None, None]


def batch_norm(x: Tensor, norm: Any) -> Tensor:
    shape = (1, -1, *(1,) * (x.dim() - 2))
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return (x - norm.running_mean.view(shape)) * scale.view(shape) + norm.bias.view(shape)


def gelu(x: Tensor) -> Tensor:
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


def sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-x))
