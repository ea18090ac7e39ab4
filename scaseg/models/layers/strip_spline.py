"""Strip attention in linear time: out_i = f(scale * query_i), with f read from a table. See strip_attention.py.

B batch, H heads, N queries, K keys, d value channels, M nodes; t, positions and the result have the tokens first.
"""

import inspect
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from scaseg.models.layers.spline import REFINED, cells_and_samples, samples_to_table
from scaseg.models.layers.strip_points import place, points

CORE = 5.0  # |t| * (spread of the keys) up to which nodes are almost uniform; beyond, each is a factor from the next
LEAST_CELL = 0.005  # where all queries are equal


def spline_attention(
    query: Tensor, key: Tensor, value: Tensor, scale: float, nodes: int, ends: Tensor | None = None
) -> Tensor:
    """query (B, H, N), key (B, H, K), value (B, H, K, d), none empty -> (B, H, N, d).

    ends: `query_ends(query)` where these are known, and finite.
    """
    out: Tensor = _apply(query, key, value, scale, nodes, ends)[0]
    return out.transpose(1, 2)


def query_ends(query: Tensor) -> Tensor:
    """The least and the largest query: (2, B, H, 1)."""
    query = query.contiguous()
    return torch.stack([query.amin(-1, keepdim=True), query.amax(-1, keepdim=True)])


class _SplineAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        query: Tensor, key: Tensor, value: Tensor, scale: float, nodes: int, ends: Tensor | None
    ) -> tuple[Tensor, ...]:
        with full_precision(query.device.type):
            q, k, v = _widened(query, key, value)
            k = _scaled(k, scale)
            position, sites = _grid(q, k, nodes, ends)
            samples = _weights(sites, k) @ v
            table = samples_to_table(nodes, v.dtype, v.device) @ samples
            out = points(position, REFINED * nodes).gather(table, value.dtype)
        return out, position, sites, samples

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.scale, ctx.nodes = inputs[3:5]
        ctx.mark_non_differentiable(*output[1:])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*inputs[:3], *output[1:])

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, *_: Any) -> tuple[Tensor | None, ...]:
        query, key, value, position, sites, samples = ctx.saved_tensors
        needs = ctx.needs_input_grad[:3]
        if grad is None:
            return (None,) * 6
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():
            return (*_plain_gradients((query, key, value), ctx.scale, grad), None, None, None)
        d_query = d_key = d_value = None
        with full_precision(query.device.type):
            k, v = _widened(query, key, value)[1:]
            k = _scaled(k, ctx.scale)
            weights = _weights(sites, k)
            to_table = samples_to_table(ctx.nodes, v.dtype, v.device)
            queries = points(position, REFINED * ctx.nodes)
            grad = queries.arranged(grad)
            if needs[0]:
                d_query = queries.gather_dot(to_table @ _slopes(weights, k, v, samples), grad)
                d_query = d_query.transpose(1, 2).to(query.dtype)
            if needs[1] or needs[2]:
                d_samples = to_table.t() @ queries.scatter(grad)
                d_key, d_value = _node_gradients(weights, sites, v, samples, d_samples)
                d_key, d_value = _scaled(d_key, ctx.scale).to(key.dtype), d_value.to(value.dtype)
        return d_query, d_key, d_value, None, None, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        """The mapped dimension joins the batch."""
        size: int = info.batch_size
        tensors = [
            x.unsqueeze(0).expand(size, *x.shape) if dim is None else x.movedim(dim, 0)
            for x, dim in zip(inputs[:3], in_dims, strict=False)
        ]
        out = _apply(*(x.flatten(0, 1) for x in tensors), *inputs[3:5], None)
        return tuple(x.unflatten(0, (size, -1)) for x in out), (0,) * len(out)


# Function.apply asks for it at every call: to find it anew takes longer than most operations here
_SplineAttention.forward.__signature__ = inspect.signature(_SplineAttention.forward)  # type: ignore[attr-defined]


def _apply(*inputs: Any) -> tuple[Tensor, ...]:
    if _plain_call(*inputs[:3]):
        return _SplineAttention.forward(*inputs)
    out: tuple[Tensor, ...] = _SplineAttention.apply(*inputs)  # type: ignore[no-untyped-call]
    return out


def _plain_call(*tensors: Tensor) -> bool:
    """Neither gradients nor a compiler nor transforms of functions: what autograd.Function adds is only its time."""
    gradients = torch.is_grad_enabled() and any(x.requires_grad for x in tensors)
    return not (gradients or torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active())


def full_precision(device: str) -> AbstractContextManager[Any]:
    """Within it autocast leaves what was widened as it is."""
    return torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext()


def _widened(*tensors: Tensor) -> list[Tensor]:
    """Half precision is too coarse for the nodes."""
    dtype = torch.float64 if any(x.dtype is torch.float64 for x in tensors) else torch.float32
    return [x.to(dtype) for x in tensors]


def _scaled(x: Tensor, scale: float) -> Tensor:
    """The scale of the logits, on the keys: there are fewer of them than of queries."""
    return x if scale == 1 else x * scale


def _grid(t: Tensor, key: Tensor, nodes: int, ends: Tensor | None) -> tuple[Tensor, Tensor]:
    """t (B, H, N), key (B, H, K) -> each t's position in cells (B, N, H), and where to sample f: (B, H, M)."""
    if ends is None:
        ends = query_ends(torch.nan_to_num(t, nan=0.0, posinf=0.0, neginf=0.0))
    key_low, key_high = torch.aminmax(key, dim=-1, keepdim=True)
    # equal keys would bend nothing: to bend at the largest t then costs no accuracy and keeps t's digits
    bend = torch.maximum((key_high - key_low) / CORE, ends.abs().amax(0).clamp(min=1e-30).reciprocal())
    start, stop = torch.asinh(ends * bend).unbind()
    cells, samples = cells_and_samples(nodes, t.dtype, t.device)
    cell = ((stop - start) / cells).clamp(min=LEAST_CELL)
    sites = torch.sinh(torch.addcmul(start, cell, samples)) / bend
    return place(t, bend, start, cell.reciprocal()), sites


def _weights(sites: Tensor, key: Tensor) -> Tensor:
    """softmax_j(site * key_j): (B, H, M, K). Logits as differences from the row's largest: exact at any offset."""
    low, high = torch.aminmax(key, dim=-1, keepdim=True)
    largest = torch.where(sites > 0, high, low)
    return torch.softmax((key.unsqueeze(-2) - largest.unsqueeze(-1)) * sites.unsqueeze(-1), -1)


def _slopes(weights: Tensor, key: Tensor, value: Tensor, samples: Tensor) -> Tensor:
    """f' at the sites, the covariance of key and value: (B, H, M, d).

    It is read from a table of its own: the derivative of f's spline would divide rounding errors by the step. Keys are
    taken from their mean in the middle of the range: the two terms cancel to within R/2 rounding errors.
    """
    middle = (weights[..., weights.shape[-2] // 2, :] * key).sum(-1, keepdim=True)
    centred = (key - middle).unsqueeze(-1)
    mean = weights @ torch.cat([centred * value, centred], -1)
    return torch.addcmul(mean[..., :-1], mean[..., -1:], samples, value=-1)


def _node_gradients(
    weights: Tensor, sites: Tensor, value: Tensor, samples: Tensor, d_samples: Tensor
) -> tuple[Tensor, Tensor]:
    """Of key (B, H, K) and value (B, H, K, d): softmax attention's, summed over the sites before over the channels."""
    tilted = d_samples * sites.unsqueeze(-1)
    columns = torch.cat([d_samples, tilted, (tilted * samples).sum(-1, keepdim=True)], -1)
    d_value, per_channel, shift = (weights.transpose(-1, -2) @ columns).split([value.shape[-1], value.shape[-1], 1], -1)
    return (per_channel * value).sum(-1) - shift.squeeze(-1), d_value


def _plain_gradients(inputs: tuple[Tensor, Tensor, Tensor], scale: float, grad: Tensor) -> tuple[Tensor, ...]:
    """For gradients of gradients: those of the plain form, in its quadratic time and memory."""

    def plain(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return (torch.softmax((query * scale).unsqueeze(-1) * key.unsqueeze(-2), -1) @ value).transpose(1, 2)

    gradients: tuple[Tensor, ...] = torch.func.vjp(plain, *inputs)[1](grad)
    return gradients
