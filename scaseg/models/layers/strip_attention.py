"""Strip attention: softmax attention whose queries and keys have one channel a head (SCASeg, equations 11-16).

    out_i = f(t_i),   t_i = scale q_i,   f(t) = sum_j e^(t k_j) v_j / sum_j e^(t k_j)

The result is one function f of one number, so it need not be computed query by query: sample f, and read every query
from a table. Why few samples suffice, at any size of the logits (S = max k - min k, R = S times the range of t):

- f is analytic where |Im t| < pi / S: there the numbers e^(i Im t k_j) lie in a half plane and cannot sum to zero.
- Far from t = 0 it is smoother still. A key whose distance from the extreme key is g weighs at most e^(-|t| g), so only
  gaps below log(keys / eps) / |t| matter: the strip without poles widens like |t|.
- Hence f is uniformly smooth in s = asinh(t S / 5), and samples at equal steps of s need grow only like log R: a spline
  of degree 7 through 128 of them is within 1e-8 of half the spread of v at R = 100 and 1e-5 at R = 2000.

f at the nodes is ordinary softmax attention of `nodes` queries, and so is its gradient. A constant matrix turns the
samples into a cubic spline of twice as many cells, of which each query takes four rows; it is within 1e-6 at R = 100
and 2e-5 at R = 2000, where rounding alone costs the plain form as much in float32. The gradient of query is g f'(t),
with f' = Cov(k, v) sampled and read in the same way. The work is nodes * Nk + 4 Nq against Nq * Nk.

Only because no additive bias enters the logits is t = 0 the flat point. Sources: the sizes of f's derivatives and the
strip are derived here; B-spline interpolation is Schoenberg's (1946). It holds for any softmax over rank-one logits.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from scaseg.models.layers.strip_crossings import least_work
from scaseg.models.layers.strip_spline import query_ends, spline_attention

MODES = ("auto", "exact", "spline")
NODES = 128
FEWEST_NODES = 32
WIDEST_RANGE = 2000.0  # of the logits, for 128 nodes: value error 2e-5 of half the spread of v


def strip_attention(
    query: Tensor, key: Tensor, value: Tensor, scale: float = 1.0, mode: str = "auto", nodes: int = NODES
) -> Tensor:
    """out[b, h, i] = sum_j softmax_j(scale * query[b, h, i] * key[b, h, j]) value[b, h, j].

    query (B, heads, Nq), key (B, heads, Nk), value (B, heads, Nk, d) -> (B, heads, Nq, d).
    mode: `exact` is the plain form, `spline` reads the result from a table of `nodes` samples, in linear time;
    `auto` is whichever of the spline, the plain form and torch's fused kernel is fastest at this shape. Gradients of
    gradients are those of the plain form, in quadratic time and memory.
    """
    if query.dim() != 3 or key.dim() != 3 or value.dim() != 4:
        raise ValueError("expected query (B, heads, Nq), key (B, heads, Nk), value (B, heads, Nk, d)")
    if query.shape[:2] != key.shape[:2] or value.shape[:3] != key.shape:
        raise ValueError(f"shapes disagree: query {query.shape}, key {key.shape}, value {value.shape}")
    if mode not in MODES:
        raise ValueError(f"strip attention mode {mode!r}: choose one of {', '.join(MODES)}")
    if nodes < FEWEST_NODES:
        raise ValueError(f"strip attention nodes {nodes}: at least {FEWEST_NODES}")
    if mode == "exact" or query.numel() == 0 or value.numel() == 0:
        return exact_attention(query.unsqueeze(-1), key.unsqueeze(-1), value, scale)
    if mode == "spline":
        return spline_attention(query, key, value, scale, nodes)
    if _worthwhile(query, key, value, nodes):
        ends = query_ends(query.detach()) if readable(query) else None
        size = 0.0 if ends is None else _range(ends, key).max().item() * abs(scale)
        if not size > WIDEST_RANGE:  # nan comes here too, and propagates
            return spline_attention(query, key, value, scale, nodes, ends if size == size else None)
    form = exact_attention if _few_weights(query, key) else padded_attention
    return form(query.unsqueeze(-1), key.unsqueeze(-1), value, scale)


def exact_attention(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """softmax(scale * query key^T) value, written out; query (..., Nq, r), key (..., Nk, r), value (..., Nk, d)."""
    return torch.softmax(query * scale @ key.transpose(-1, -2), dim=-1) @ value


def padded_attention(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """The same through the fused kernel: query and key padded with zero channels to the value's width.

    With query and key narrower than value, torch falls back to the form that stores Nq x Nk weights.
    """
    missing = value.shape[-1] - query.shape[-1]
    if missing > 0:
        query, key = F.pad(query, (0, missing)), F.pad(key, (0, missing))
    return F.scaled_dot_product_attention(query, key, value, scale=scale)


def logit_range(query: Tensor, key: Tensor, scale: float = 1.0) -> Tensor:
    """R of each batch item and head, (B, heads): the range of scale * query times the spread of key."""
    return _range(query_ends(query), key).squeeze(-1) * abs(scale)


def _worthwhile(query: Tensor, key: Tensor, value: Tensor, nodes: int) -> bool:
    """By shape and device alone, so that graphs stay static; a CPU's crossing was measured against the fused kernel."""
    keys = key.shape[-1]
    if query.device.type == "cuda":
        least = least_work(query.device, value.dtype in (torch.float16, torch.bfloat16))
    else:
        least = 2**20 if keys >= 128 else 2**21
    return query.numel() * keys >= least and query.shape[-1] >= 4 * nodes and keys >= 64


def _few_weights(query: Tensor, key: Tensor) -> bool:
    """Where the weights fit into the cache, or take no more room than the result, to write them out is fastest."""
    return query.numel() * key.shape[-1] <= 2**21 or key.shape[-1] < 64


def readable(x: Tensor) -> bool:
    """Reading a number is free on CPU; a device would wait, a graph, a fake or a mapped tensor has none."""
    eager = type(x) is Tensor and not torch.compiler.is_compiling()
    return x.device.type == "cpu" and eager and not torch._C._are_functorch_transforms_active()


def _range(ends: Tensor, key: Tensor) -> Tensor:
    key_low, key_high = torch.aminmax(key.detach(), dim=-1, keepdim=True)
    return (ends[1] - ends[0]) * (key_high - key_low)
