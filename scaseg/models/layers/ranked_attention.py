"""Cross-attention whose heads have each their own number of query/key channels, from none on: see scaseg.rank.

B batch, H x W query grid, h x w memory grid, C query channels, T memory channels.
"""

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from scaseg.models.layers.attention import attend, in_heads
from scaseg.models.layers.strip_attention import NODES


class RankedCrossAttention(nn.Module):
    """Multi-head attention of a query map over a memory map; `ranks`: query/key channels of each head.

    A head of one channel is strip attention, in linear time; one of none weighs all keys alike, so that it is the mean
    of its values. Heads of equally many channels are computed together, which is why none may have more than the one
    before it: ValueError else. value_channels: of each head, None for C / heads.
    """

    def __init__(
        self,
        channels: int,
        memory_channels: int,
        ranks: Sequence[int],
        strip: str = "auto",
        nodes: int = NODES,
        value_channels: int | None = None,
    ) -> None:
        super().__init__()
        values = channels if value_channels is None else len(ranks) * value_channels
        if list(ranks) != sorted(ranks, reverse=True) or min(ranks) < 0 or values % len(ranks):
            raise ValueError(f"ranks {list(ranks)}: numbers from 0 on, none larger than the one before")
        self.ranks = tuple(ranks)
        self.strip = strip
        self.nodes = nodes
        if total := sum(ranks):
            self.q = nn.Linear(channels, total, bias=False)
            self.k = nn.Linear(memory_channels, total, bias=False)
        self.v = nn.Linear(memory_channels, values, bias=False)
        self.out = nn.Linear(values, channels)

    def forward(self, query: Tensor, memory: Tensor) -> Tensor:
        """query (B, H, W, C), memory (B, h, w, T) -> (B, H, W, C)."""
        groups = [(rank, heads) for rank, heads in Counter(self.ranks).items() if rank]
        v = in_heads(self.v(memory), len(self.ranks))
        parts = []
        if groups:
            widths = [rank * heads for rank, heads in groups]
            q, k = self.q(query).split(widths, -1), self.k(memory).split(widths, -1)
            values = v.split([heads for _, heads in groups] + [self.ranks.count(0)], 1)
            for (rank, heads), *of_group in zip(groups, q, k, values[: len(groups)], strict=True):
                own_q, own_k, own_v = of_group
                parts.append(
                    attend(in_heads(own_q, heads), in_heads(own_k, heads), own_v, rank**-0.5, self.strip, self.nodes)
                )
            v = values[-1]
        if v.shape[1]:
            tokens = query.shape[1] * query.shape[2]
            parts.append(v.mean(2, keepdim=True).expand(-1, -1, tokens, -1))
        out: Tensor = self.out(torch.cat(parts, 1).transpose(1, 2).reshape(*query.shape[:3], -1))
        return out
