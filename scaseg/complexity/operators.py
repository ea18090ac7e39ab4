"""What one operator costs, in two conventions, from the shapes of its arguments alone.

`plain` counts the multiply-adds of Linear, convolutions and matrix products. `paper` is the counter behind
the paper's GFLOPs column (mmengine.analysis 0.10.7): the same, and 5 per element of a LayerNorm or GroupNorm,
2 per element of a BatchNorm in eval mode, 4 per output element of a bilinear resize, 1 per output element of
a nearest one, 1 per input element of an adaptive average pooling; softmax, activations, sums and products are
free. It has no rule for scaled_dot_product_attention, counted here as the two products that it is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Cost:
    """kind: what sort of operator; macs: plain convention; paper: the paper's."""

    kind: str
    macs: int
    paper: int


def _multiply_adds(kind: str, number: int) -> Cost:
    return Cost(kind, number, number)


def _linear(args: Sequence[Any], out: Any) -> Cost:
    x, weight = args[:2]
    return _multiply_adds("linear", x.numel() * weight.shape[0])


def _convolution(args: Sequence[Any], out: Any) -> Cost:
    x, weight, transposed = args[0], args[1], args[6]
    batched = x if x.dim() == weight.dim() else x.unsqueeze(0)
    positions = batched.shape[2:] if transposed else out.shape[-(weight.dim() - 2) :]
    return _multiply_adds("convolution", batched.shape[0] * weight.numel() * prod(positions))


def _convolution_backward(args: Sequence[Any], out: Any) -> Cost:
    """As much again for the gradient of the input and of the weight as is asked for."""
    grad, x, weight, transposed, asked = args[0], args[1], args[2], args[7], args[10]
    positions = (x if transposed else grad).shape[2:]
    return _multiply_adds("convolution", sum(asked[:2]) * x.shape[0] * weight.numel() * prod(positions))


def _product(first: int) -> Callable[[Sequence[Any], Any], Cost]:
    """Product of `args[first]` (..., n, k) and `args[first + 1]` (..., k, m) of equal batch dimensions."""

    def cost(args: Sequence[Any], out: Any) -> Cost:
        a, b = args[first], args[first + 1]
        return _multiply_adds("product", a.numel() * (b.shape[-1] if b.dim() > 1 else 1))

    return cost


def _attention(args: Sequence[Any], out: Any) -> Cost:
    query, key, value = args[:3]
    pairs = prod(query.shape[:-1]) * key.shape[-2]
    return _multiply_adds("product", pairs * (query.shape[-1] + value.shape[-1]))


def _embedding_bag(args: Sequence[Any], out: Any) -> Cost:
    weight, weights_of_rows = args[0], args[6] if len(args) > 6 else None
    return _multiply_adds("product", 0 if weights_of_rows is None else weights_of_rows.numel() * weight.shape[1])


def _norm(affine: int) -> Callable[[Sequence[Any], Any], Cost]:
    def cost(args: Sequence[Any], out: Any) -> Cost:
        has_affine = len(args) > affine and args[affine] is not None
        return Cost("norm", 0, args[0].numel() * (5 if has_affine else 4))

    return cost


def _batch_norm(args: Sequence[Any], out: Any) -> Cost:
    if args[5]:  # training
        return _norm(1)(args, out)
    return Cost("norm", 0, args[0].numel() * (1 if args[1] is None else 2))


def _per_output(factor: int) -> Callable[[Sequence[Any], Any], Cost]:
    return lambda args, out: Cost("resize", 0, factor * out.numel())


def _per_input(args: Sequence[Any], out: Any) -> Cost:
    return Cost("pooling", 0, args[0].numel())


_aten = torch.ops.aten
COSTS: dict[Any, Callable[[Sequence[Any], Any], Cost]] = {
    _aten.linear: _linear,
    _aten.convolution: _convolution,
    _aten.convolution_backward: _convolution_backward,
    _aten.mm: _product(0),
    _aten.mv: _product(0),
    _aten.dot: _product(0),
    _aten.bmm: _product(0),
    _aten.addmm: _product(1),
    _aten.addmv: _product(1),
    _aten.baddbmm: _product(1),
    _aten.addbmm: _product(1),
    _aten.scaled_dot_product_attention: _attention,
    _aten.embedding_bag: _embedding_bag,
    _aten.layer_norm: _norm(2),
    _aten.group_norm: _norm(2),
    _aten.instance_norm: _norm(1),
    _aten.batch_norm: _batch_norm,
    _aten.upsample_nearest2d: _per_output(1),
    _aten.upsample_bilinear2d: _per_output(4),
    _aten.grid_sampler: _per_output(4),
    _aten.adaptive_avg_pool2d: _per_input,
}

# Cost little beside a matrix product, beyond those that torch itself tags as views or element-wise.
_FREE = (
    "empty empty_like new_empty empty_strided zeros zeros_like new_zeros ones ones_like new_ones "
    "full full_like new_full arange linspace eye rand rand_like randn randn_like randint uniform_ "
    "normal_ bernoulli bernoulli_ native_dropout scalar_tensor lift_fresh clone copy_ copy _to_copy "
    "contiguous _local_scalar_dense detach alias set_ resize_ fill_ cat stack repeat roll flip tril "
    "triu constant_pad_nd reflection_pad2d replication_pad2d pixel_shuffle channel_shuffle "
    "_unsafe_view _reshape_alias _reshape_copy im2col col2im unfold_backward index index_select "
    "gather scatter scatter_add index_put index_put_ index_add embedding masked_fill masked_scatter "
    "sum mean amax amin max min aminmax prod any all argmax argmin norm linalg_vector_norm var std "
    "var_mean logsumexp _softmax _safe_softmax _log_softmax glu cumsum cumprod cummax sort topk "
    "searchsorted bucketize unique_dim bincount hardswish hardswish_ hardsigmoid hardsigmoid_ "
    "hardtanh hardtanh_ avg_pool1d avg_pool2d avg_pool3d max_pool2d_with_indices max_pool2d "
    "upsample_bicubic2d upsample_linear1d upsample_trilinear3d copysign copysign_ "
)
FREE = frozenset(getattr(_aten, name) for name in _FREE.split() if hasattr(_aten, name))


def is_free(operator: torch._ops.OpOverload) -> bool:
    """Whether the operator costs nothing in either convention."""
    if operator.is_view or torch.Tag.pointwise in operator.tags or operator.overloadpacket in FREE:
        return True
    return operator.namespace == "prim"


def cost_of(operator: torch._ops.OpOverload, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any) -> Cost | None:
    """The cost of one call, or None for an operator without a rule."""
    rule = COSTS.get(operator.overloadpacket)
    if rule is None:
        return None
    if kwargs:
        named = {argument.name: position for position, argument in enumerate(operator._schema.arguments)}
        positional = list(args) + [argument.default_value for argument in operator._schema.arguments[len(args) :]]
        for name, value in kwargs.items():
            positional[named[name]] = value
        args = positional
    first = next((x for x in out if isinstance(x, Tensor)), out) if isinstance(out, tuple | list) else out
    return rule(args, first)
