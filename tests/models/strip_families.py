"""Keys, values and queries that are hard for an interpolating form, and the errors against the float64 exact form."""

from collections.abc import Callable

import torch
from torch import Tensor

from scaseg.models.layers.strip_attention import strip_attention
from tests.models.on_gpu import generator

Form = Callable[[Tensor, Tensor, Tensor], Tensor]


def keys(family: str, count: int = 256) -> Tensor:
    """(count), float64, spread 1."""
    drawn = generator(3)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=drawn, dtype=torch.float64)

    if family == "random":
        k = normal(count)
    elif family == "clustered":
        k = normal(4)[torch.randint(0, 4, (count,), generator=drawn)] + 0.05 * normal(count)
    elif family == "heavy-tailed":
        k = normal(count) / normal(count, 2).square().mean(-1).sqrt()  # Student's t, two degrees of freedom
    elif family == "two-point":
        k = torch.randint(0, 2, (count,), generator=drawn).double()
    elif family == "outlier":
        k = 0.02 * normal(count)
        k[0] = 1
    else:  # a transition at every scale: 2^-j of the keys at distance 2^-j from the largest
        assert family == "hierarchy"
        k = torch.ones(count, dtype=torch.float64)
        start = 0
        for j in range(8):
            stop = start + count // 2 ** (j + 1)
            k[start:stop] -= 2.0**-j
            start = stop
    return k / (k.max() - k.min())


def values(k: Tensor) -> Tensor:
    """(count, 6), half spread 1: noise, steps at the ends and in the middle of the keys, a wave over them."""
    rank = torch.empty_like(k)
    rank[k.argsort()] = torch.arange(len(k), dtype=k.dtype)
    noise = torch.randn(len(k), generator=generator(4), dtype=k.dtype)
    v = torch.stack(
        [noise, k, (rank == rank.max()).double(), (rank > 0).double(), (k > k.median()).double(), (7 * k).cos()], -1
    )
    low, high = v.amin(0), v.amax(0)
    return (v - (low + high) / 2) / ((high - low) / 2).clamp(min=1e-12)


def problem(family: str, logit_range: float, queries: int = 1500) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """query (1, 1, N), key (1, 1, K), value (1, 1, K, 6), output gradient (1, 1, N, 6); float32."""
    drawn = generator(5)
    k = keys(family)
    t = torch.rand(queries, generator=drawn, dtype=torch.float64) - 0.5
    t *= logit_range / (t.max() - t.min())
    grad = torch.randn(1, 1, queries, 6, generator=drawn)
    return t[None, None].float(), k[None, None].float(), values(k)[None, None].float(), grad


def exact(query: Tensor, key: Tensor, value: Tensor, scale: float = 1.0) -> Tensor:
    """The definition, in float64."""
    q, k, v = (x.double() for x in (query, key, value))
    return torch.softmax(scale * q.unsqueeze(-1) * k.unsqueeze(-2), -1) @ v


def spline(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return strip_attention(query, key, value, mode="spline")


def gradients(form: Form, inputs: tuple[Tensor, ...], grad: Tensor) -> tuple[Tensor, ...]:
    leaves = [x.detach().clone().requires_grad_() for x in inputs]
    out = form(*leaves)
    return torch.autograd.grad(out, leaves, grad.to(out.dtype))


def distance(x: Tensor, y: Tensor) -> float:
    """Largest error in units of the largest exact number."""
    return float((x.double() - y.double()).abs().max() / y.abs().max().clamp(min=1e-300))


def inputs(batch: int, heads: int, queries: int, count: int, channels: int, seed: int = 0) -> tuple[Tensor, ...]:
    drawn = generator(seed)
    shapes = (batch, heads, queries), (batch, heads, count), (batch, heads, count, channels)
    q, k, v = (torch.randn(*shape, generator=drawn) for shape in shapes)
    return q, 2 * k, v
