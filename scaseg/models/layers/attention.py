"""The decoder's attention: strip cross-attention and the two forms that the paper compares it with (Table V).

All take a normed query map and a normed memory map, channels last, and return a map of the query's size.
B batch, H x W query grid, h x w memory grid, C query channels, T memory channels, r query/key channels a head, d value
channels a head.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from scaseg.models.layers.plane_attention import two_channel_attention
from scaseg.models.layers.pointwise import PointwiseConv
from scaseg.models.layers.strip_attention import NODES, exact_attention, padded_attention, strip_attention

ATTENTIONS = ("sa", "ca", "sca")


def heads_for(channels: int, most: int) -> int:
    """The largest of 8, 5, 4, 2, 1 that is at most `most` and divides `channels`."""
    return next(heads for heads in (8, 5, 4, 2, 1) if heads <= most and channels % heads == 0)


def in_heads(x: Tensor, heads: int) -> Tensor:
    """(B, h, w, heads * c) -> (B, heads, h * w, c)."""
    return x.reshape(x.shape[0], -1, heads, x.shape[-1] // heads).transpose(1, 2)


def attend(query: Tensor, key: Tensor, value: Tensor, scale: float, strip: str, nodes: int) -> Tensor:
    """softmax(scale * query key^T) value of r channels a head, by the form that suits r and, of one channel, `strip`.

    query (B, heads, H W, r), key (B, heads, h w, r), value (B, heads, h w, d) -> (B, heads, H W, d).
    """
    if query.shape[-1] == 1:
        return strip_attention(query.squeeze(-1), key.squeeze(-1), value, scale, strip, nodes)
    if query.shape[-1] == 2:
        return two_channel_attention(query, key, value, scale, strip)
    return (exact_attention if strip == "exact" else padded_attention)(query, key, value, scale)


class CrossAttention(nn.Module):
    """Multi-head attention of a query map over a memory map, r query/key channels a head (equations 11-16).

    r = 1 is strip cross-attention; r = channels / heads is vanilla cross-attention. value_channels: d, C / heads unless
    given.
    """

    def __init__(
        self,
        channels: int,
        memory_channels: int,
        heads: int,
        qk_channels: int,
        strip: str = "auto",
        nodes: int = NODES,
        value_channels: int | None = None,
    ) -> None:
        super().__init__()
        values = channels if value_channels is None else heads * value_channels
        self.heads = heads
        self.qk_channels = qk_channels
        self.strip = strip
        self.nodes = nodes
        self.scale = qk_channels**-0.5
        self.q = nn.Linear(channels, heads * qk_channels, bias=False)
        self.k = nn.Linear(memory_channels, heads * qk_channels, bias=False)
        self.v = nn.Linear(memory_channels, values, bias=False)
        self.out = nn.Linear(values, channels)

    def forward(self, query: Tensor, memory: Tensor) -> Tensor:
        """query (B, H, W, C), memory (B, h, w, T) -> (B, H, W, C)."""
        q, k, v = self.project(query, memory)
        attended = attend(q, k, v, self.scale, self.strip, self.nodes)
        out: Tensor = self.out(attended.transpose(1, 2).reshape(*query.shape[:3], -1))
        return out

    def project(self, query: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, heads, H W, r), keys (B, heads, h w, r) and values (B, heads, h w, d)."""
        return (
            in_heads(self.q(query), self.heads),
            in_heads(self.k(memory), self.heads),
            in_heads(self.v(memory), self.heads),
        )


class PooledCrossAttention(nn.Module):
    """The Cityscapes form: queries at half the resolution, the result resized back.

    The query map is average-pooled 2 x 2, projected, normed and passed through GELU; keys and values see
    GELU(LayerNorm(memory)).
    """

    def __init__(self, attention: nn.Module, channels: int, memory_channels: int, pool: int) -> None:
        super().__init__()
        self.pool = pool
        self.reduce = PointwiseConv(channels, channels)
        self.norm_query = nn.LayerNorm(channels)
        self.norm_memory = nn.LayerNorm(memory_channels)
        self.attention = attention

    def forward(self, query: Tensor, memory: Tensor) -> Tensor:
        """query (B, H, W, C), memory (B, h, w, T) -> (B, H, W, C)."""
        size = query.shape[1:3]
        pooled = F.avg_pool2d(query.permute(0, 3, 1, 2), self.pool, ceil_mode=True)
        pooled = F.gelu(self.norm_query(self.reduce(pooled).permute(0, 2, 3, 1)))
        attended = self.attention(pooled, F.gelu(self.norm_memory(memory)))
        resized = F.interpolate(attended.permute(0, 3, 1, 2), size=size, mode="bilinear")
        return resized.permute(0, 2, 3, 1)
