"""Strip attention: softmax attention whose queries and keys have one channel a head (SCASeg, equations 11-16)."""

import torch
import torch.nn.functional as F
from torch import Tensor

MODES = ("auto", "exact")


def strip_attention(query: Tensor, key: Tensor, value: Tensor, scale: float = 1.0, mode: str = "auto") -> Tensor:
    """out[b, h, i] = sum_j softmax_j(scale * query[b, h, i] * key[b, h, j]) value[b, h, j].

    query (B, heads, Nq), key (B, heads, Nk), value (B, heads, Nk, d) -> (B, heads, Nq, d).
    mode `exact` is the plain form; `auto` the fastest form with the same result.
    """
    if query.dim() != 3 or key.dim() != 3 or value.dim() != 4:
        raise ValueError("expected query (B, heads, Nq), key (B, heads, Nk), value (B, heads, Nk, d)")
    if query.shape[:2] != key.shape[:2] or value.shape[:3] != key.shape:
        raise ValueError(f"shapes disagree: query {query.shape}, key {key.shape}, value {value.shape}")
    if mode not in MODES:
        raise ValueError(f"strip attention mode {mode!r}: choose one of {', '.join(MODES)}")
    if mode == "exact":
        return exact_attention(query.unsqueeze(-1), key.unsqueeze(-1), value, scale)
    return padded_attention(query.unsqueeze(-1), key.unsqueeze(-1), value, scale)


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
